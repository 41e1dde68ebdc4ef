package telegram

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"slimdeploy/gateway/internal/health"
	"slimdeploy/gateway/internal/logline"
	"slimdeploy/gateway/internal/sizes"
	"slimdeploy/gateway/internal/wire"
)

// PollTime is how long one getUpdates waits for a message (the Bot API allows up to 50 s).
const PollTime = 45 * time.Second

const (
	mostPause = 60 * time.Second
	// sendTries is how often a reply is tried before it is given up, so that one message can't hold up the others.
	sendTries = 6
	// drainTime bounds what is still done after a stop was asked for.
	drainTime = 3 * time.Second
)

// ErrUnauthorized is the end of a gateway whose token Telegram refuses: starting it again can't help.
//
//lint:ignore ST1005 Telegram is a name
var ErrUnauthorized = errors.New("Telegram refuses the token (401); is it the one that @BotFather shows?")

// Poller takes messages from the Bot API and sends back what Handle makes of them, one after the other.
type Poller struct {
	Bot   *Bot
	Stats *health.Stats
	// Handle makes a reply; it calls typing first where that takes time.
	Handle func(message *Message, typing func()) Reply
	// Access says whose messages are answered.
	Access Access
	// OffsetFile is where the offset is kept over a restart, "" for nowhere.
	OffsetFile string
	// Tidy is called after each getUpdates, when all that it brought is answered; nil for nothing.
	Tidy func()
	// FirstPause is how long to rest after a first failure; each further one doubles it. 0 stands for a second.
	FirstPause time.Duration

	name        string // the bot's, without @
	offset      int64
	kept        offsetFile
	unconfirmed bool
	lastUpdate  time.Time
	refused     refusals
	told        wire.Told
	current     int64      // the chat that is answered
	typing      func()     // showTyping, made once
	piece, html []byte     // the buffers for a piece of a reply, and for its markup
	sending     sync.Mutex // held while a reply is on its way
	handling    sync.Mutex // held while a message is answered, for Between
}

// Run polls until stop is closed (then it returns nil) or the token is refused (ErrUnauthorized).
func (p *Poller) Run(stop <-chan struct{}) error {
	ended, interrupted := make(chan struct{}), make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-stop:
			p.interrupt()
			close(interrupted)
		case <-ended:
		}
	}()
	defer p.Bot.Close()
	p.typing = p.showTyping
	p.kept.path = p.OffsetFile
	defer p.kept.close()
	p.offset, p.lastUpdate = p.kept.load(p.Bot.number()), time.Now()
	if err := p.again(stop, p.introduce); err != nil {
		return p.end(err, interrupted)
	}
	// The first poll does not wait: it shows at once whether another gateway or a webhook takes the updates.
	for longest := time.Duration(0); ; longest = PollTime {
		if err := p.again(stop, func() error { return p.round(stop, longest) }); err != nil {
			return p.end(err, interrupted)
		}
		if p.Tidy != nil {
			p.Tidy()
		}
	}
}

// interrupt ends what is under way. A reply may have arrived already: it gets some time to say so, or it would be sent
// again after a restart.
func (p *Poller) interrupt() {
	watch := time.AfterFunc(drainTime, p.Bot.Interrupt)
	defer watch.Stop()
	p.sending.Lock()
	defer p.sending.Unlock()
	p.Bot.Interrupt()
}

// end confirms what was handled since the last poll, so that nothing is answered twice after a restart.
func (p *Poller) end(err error, interrupted <-chan struct{}) error {
	if !errors.Is(err, wire.ErrInterrupted) {
		return err
	}
	<-interrupted // it may only just be coming, and must not end the call below
	if p.unconfirmed {
		p.Bot.Resume()
		watch := time.AfterFunc(drainTime, p.Bot.Interrupt)
		defer watch.Stop()
		if _, err := p.Bot.Updates(p.offset, 1, 0); err != nil {
			logline.Warn("the last messages could not be confirmed", "error", err.Error())
			p.kept.save(p.Bot.number(), p.offset)
		}
	}
	return nil
}

func (p *Poller) introduce() error {
	name, err := p.Bot.Name()
	if err == nil {
		p.name = name
		version, cipher := p.Bot.TLS()
		logline.Info("connected to the Bot API", "bot", name, "tls", version, "cipher", cipher)
	}
	return err
}

// round makes one getUpdates, which waits up to longest, and answers what it brings.
func (p *Poller) round(stop <-chan struct{}, longest time.Duration) error {
	if time.Since(p.lastUpdate) > offsetAge {
		p.offset, p.lastUpdate = 0, time.Now()
	}
	updates, err := p.Bot.Updates(p.offset, sizes.Updates, longest)
	if err != nil {
		return err
	}
	p.unconfirmed = false
	p.Stats.Answered(p.Bot.TLS())
	for i := range updates {
		if updates[i].ID < p.offset {
			continue
		}
		if err := p.handle(stop, &updates[i], i < len(updates)-1); err != nil {
			return err
		}
	}
	return nil
}

// handle answers the message of one update; more tells whether others of the same batch wait.
func (p *Poller) handle(stop <-chan struct{}, update *Update, more bool) error {
	p.handling.Lock()
	defer p.handling.Unlock()
	if stopped(stop) {
		return wire.ErrInterrupted
	}
	if err := p.receive(stop, &update.Message); err != nil {
		return err
	}
	p.offset, p.unconfirmed, p.lastUpdate = update.ID+1, true, time.Now()
	if more {
		p.kept.save(p.Bot.number(), p.offset)
	}
	return nil
}

// Between calls do while no message is being answered, so that it may change Access and what Handle does, or close stop.
// It waits for an answer that is under way.
func (p *Poller) Between(do func()) {
	p.handling.Lock()
	defer p.handling.Unlock()
	do()
}

// receive answers one message, if it is a text that is for the bot, of somebody who is let in.
func (p *Poller) receive(stop <-chan struct{}, message *Message) error {
	if message.Text == "" {
		return nil
	}
	text, forBot := message.forBot(p.name)
	if !forBot {
		return nil
	}
	message.Text = text
	if !p.Access.allows(message) {
		p.Stats.Refused.Add(1)
		if message.Group || !p.refused.due(message.Chat, time.Now()) {
			return nil
		}
		return p.deliver(stop, message, Reply{Text: refusalText + strconv.FormatInt(message.From, 10) + "."})
	}
	p.Stats.Inbound.Add(1)
	p.current = message.Chat
	reply := p.Handle(message, p.typing)
	if reply.Text == "" && stopped(stop) {
		return wire.ErrInterrupted // the answer was interrupted: it is asked for again after the restart
	}
	return p.deliver(stop, message, reply)
}

func (p *Poller) showTyping() {
	if err := p.Bot.Typing(p.current); err != nil {
		logline.Warn("that it types could not be shown", "error", err.Error())
	}
}

func (p *Poller) firstPause() time.Duration {
	if p.FirstPause > 0 {
		return p.FirstPause
	}
	return time.Second
}

// again does work until it succeeds, is interrupted or can't ever succeed, with growing pauses between.
func (p *Poller) again(stop <-chan struct{}, work func() error) error {
	pause := p.firstPause()
	deleted := false
	for {
		err := work()
		already := p.told.Already(err)
		if err == nil || errors.Is(err, wire.ErrInterrupted) {
			return err
		}
		p.Stats.Errors.Add(1)
		state := "error"
		switch code(err) {
		case 401, 404: // 404 is what the Bot API says to a path whose token has no valid form
			p.Stats.Failed("unauthorized", err.Error())
			return ErrUnauthorized
		case 409:
			state = "conflict"
			if strings.Contains(err.Error(), "webhook") && !deleted { // whoever sets it again and again is not fought
				deleted = true
				if gone := p.Bot.DeleteWebhook(); gone == nil {
					logline.Info("a webhook stood in the way of getUpdates and was deleted")
					continue
				}
			}
		}
		p.Stats.Failed(state, err.Error())
		rests := wait(err, &pause)
		if !already {
			logline.Warn("the Bot API is tried again", "error", err.Error(), "after", rests.Round(time.Millisecond).String())
		}
		if !rest(stop, rests) {
			return wire.ErrInterrupted
		}
	}
}

// code is the Bot API's error code, 0 where the error is another one.
func code(err error) int {
	var failure *Failure
	if errors.As(err, &failure) {
		return failure.Code
	}
	return 0
}

// wait is how long to rest after err: what the API asks for, else pause, which doubles, with up to a quarter taken off by
// chance so that many gateways don't come back at the same moment.
func wait(err error, pause *time.Duration) time.Duration {
	var failure *Failure
	if errors.As(err, &failure) && failure.RetryAfter > 0 {
		return time.Duration(failure.RetryAfter) * time.Second
	}
	now := *pause
	*pause = min(2*now, mostPause)
	return now - rand.N(now/4)
}

func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// rest sleeps; false where stop was closed meanwhile.
func rest(stop <-chan struct{}, length time.Duration) bool {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-stop:
		return false
	case <-timer.C:
		return true
	}
}
