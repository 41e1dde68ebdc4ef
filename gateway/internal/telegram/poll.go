package telegram

import (
	"errors"
	"strconv"
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
	before      int64 // the offset that an earlier process kept, 0 for none, and as soon as it is passed
	kept        offsetFile
	unconfirmed bool
	lastUpdate  time.Time
	singly      int // so many getUpdates ask for one update: one of the last batch can't be read
	unread      int // how often the first update of a batch could not be read
	refused     refusals
	told        wire.Told
	current     *Message      // that is answered
	typing      func()        // showTyping, made once
	typed       shower        // keeps it shown
	typingEvery time.Duration // 0 for typingTime; for tests, as the next one
	typingLimit time.Duration // 0 for typingTime
	piece, html []byte        // the buffers for a piece of a reply, and for its markup
	handling    sync.Mutex    // held while a message is answered, for Between; taken before sending
	sending     sync.Mutex    // held while a reply is on its way, for interrupt
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
	if !p.takeFile(stop) {
		return nil
	}
	p.lastUpdate = time.Now()
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

// interrupt ends what is under way. A reply may have arrived already, or the first of its pieces: it gets some time for the
// rest, or all of it would be sent again after a restart.
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

// takeFile opens the file with the offset; false where stop was closed while another gateway had it.
func (p *Poller) takeFile(stop <-chan struct{}) bool {
	for told := false; ; told = true {
		before, wait := p.kept.open(p.Bot.number())
		if !wait {
			p.before = before
			return true
		}
		if !told {
			const waits = "another gateway of this bot runs from the same folder; this one waits for its end"
			p.Stats.Failed("conflict", waits)
			logline.Warn(waits, "file", p.OffsetFile)
		}
		if !rest(stop, p.firstPause()) {
			return false
		}
	}
}

// round makes one getUpdates, which waits up to longest, and answers what it brings.
func (p *Poller) round(stop <-chan struct{}, longest time.Duration) error {
	if time.Since(p.lastUpdate) > offsetAge {
		p.offset, p.lastUpdate = 0, time.Now()
	}
	limit := sizes.Updates
	if p.singly > 0 {
		p.singly--
		limit = 1
	}
	updates, err := p.Bot.Updates(p.offset, limit, longest)
	if err != nil {
		p.sift(updates, err)
		return err
	}
	p.unread, p.unconfirmed = 0, false
	p.Stats.Answered(p.Bot.TLS())
	for i := range updates {
		if err := p.handle(stop, &updates[i]); err != nil {
			return err
		}
	}
	return nil
}

// sift keeps an update that can't be read from holding up the others for ever: after it was met, updates are fetched one by
// one, and where it is the first, it is passed over in the end.
func (p *Poller) sift(updates []Update, err error) {
	var fault *unreadable
	if !errors.As(err, &fault) {
		return
	}
	p.singly = sizes.Updates
	if len(updates) == 1 && updates[0].ID != 0 && !fault.torn {
		if p.unread++; p.unread == unreadTries {
			logline.Error("an update can't be read and is passed over", "update", strconv.FormatInt(updates[0].ID, 10))
			p.pass(updates[0].ID)
		}
	}
}

// unreadTries is how often an update is asked for that can't be read.
const unreadTries = 3

// handle answers the message of one update.
func (p *Poller) handle(stop <-chan struct{}, update *Update) error {
	p.handling.Lock()
	defer p.handling.Unlock()
	if stopped(stop) {
		return wire.ErrInterrupted
	}
	// What was answered before a kill comes again where Telegram did not hear of it. What is numbered otherwise is new: after
	// a week without updates Telegram numbers them anew, and no clock of a board can tell whether that has gone by.
	if p.before != 0 && p.before-largestBatch <= update.ID && update.ID < p.before {
		p.pass(update.ID)
		return nil
	}
	p.before = 0
	if update.ID < p.offset {
		return nil
	}
	if err := p.receive(stop, &update.Message); err != nil {
		return err
	}
	p.pass(update.ID)
	return nil
}

// pass goes on behind an update.
func (p *Poller) pass(update int64) {
	p.offset, p.unconfirmed, p.lastUpdate = update+1, true, time.Now()
	p.kept.save(p.Bot.number(), max(p.offset, p.before))
}

// Between calls do while no message is being answered, so that it may change Access and what Handle does, or close stop.
// It waits for an answer that is under way, but not for one that an outage keeps from being sent.
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
	p.current = message
	reply := p.Handle(message, p.typing)
	p.typed.end()
	if reply.Text == "" && stopped(stop) {
		return wire.ErrInterrupted // the answer was interrupted: it is asked for again after the restart
	}
	return p.deliver(stop, message, reply)
}
