//go:build telegram

package main

import (
	"errors"
	"path/filepath"
	"sync"
	"time"

	"slimdeploy/gateway/internal/config"
	"slimdeploy/gateway/internal/health"
	"slimdeploy/gateway/internal/logline"
	"slimdeploy/gateway/internal/pages"
	"slimdeploy/gateway/internal/reply"
	"slimdeploy/gateway/internal/telegram"
	"slimdeploy/gateway/internal/tidy"
	"slimdeploy/gateway/internal/wire"
)

// readyFor is how old the Bot API's last answer may be: a poll's time, and what a slow board and network take on top.
const readyFor = telegram.PollTime + 45*time.Second

var errNoChannel = errors.New("channels.telegram.enabled is not true: there is nothing to do")

// channel is one bot, and what answers its messages; both may be replaced while it runs (reload.go).
type channel struct {
	stats      *health.Stats
	replier    *reply.Replier
	offsetFile string
	tidy       func()
	wanted     wanted // the config that is in force; of whoever reloads
	ended      chan struct{}

	mu        sync.Mutex // guards what follows
	current   *line
	next      *line  // takes over when current has ended
	interrupt func() // ends an answer that is under way
	halting   bool
}

// line is a poller, and what ends it.
type line struct {
	poller *telegram.Poller
	stop   chan struct{}
	began  chan struct{} // is closed when it polls
}

// wanted is what a config comes to, with the secrets that files hold. Nothing in it is at fault, as far as can be told
// without a network.
type wanted struct {
	account account
	proxy   *wire.Proxy
	access  telegram.Access
	answers config.Answers
}

// account is the bot, where it is asked for, and who vouches for that.
type account struct {
	endpoint      wire.Endpoint
	token, caFile string
}

func newChannel(settings *config.Config, program pages.Program) (*channel, error) {
	found, err := check(settings)
	if err != nil {
		return nil, err
	}
	provider, interrupt, err := newProvider(&found.answers)
	if err != nil {
		return nil, err
	}
	stats := health.NewStats(version, readyFor)
	c := &channel{
		stats:      stats,
		replier:    &reply.Replier{Stats: stats, Provider: provider},
		offsetFile: filepath.Join(filepath.Dir(settings.Path), "telegram.offset"),
		tidy:       tidied(program),
		wanted:     found,
		ended:      make(chan struct{}),
		interrupt:  interrupt,
	}
	c.current, err = c.newLine(&found)
	return c, err
}

// check finds what would keep a gateway with these settings from working.
func check(settings *config.Config) (found wanted, err error) {
	t := &settings.Telegram
	if !t.Enabled {
		return found, errNoChannel
	}
	token, warning, err := config.Secret(t.Token, t.TokenFile)
	if err != nil {
		return found, errors.New("channels.telegram.token_file: " + err.Error())
	}
	if warning != "" {
		logline.Warn(warning)
	}
	if fault := config.TokenFault(token); fault != "" {
		return found, errors.New("channels.telegram.token is no bot token: " + fault)
	}
	if err := checkAnswers(&settings.Answers); err != nil {
		return found, err
	}
	return wanted{account{t.Endpoint, token, t.CAFile}, t.Proxy, t.AllowFrom, settings.Answers}, nil
}

func (c *channel) newLine(w *wanted) (*line, error) {
	trusted, err := security(w.account.caFile, w.account.endpoint.Host)
	if err != nil {
		return nil, errors.New("channels.telegram.ca_file: " + err.Error())
	}
	bot := telegram.NewBot(w.account.endpoint, w.account.token, trusted)
	bot.Through(w.proxy)
	return &line{&telegram.Poller{
		Bot:   bot,
		Stats: c.stats,
		Handle: func(message *telegram.Message, typing func()) telegram.Reply {
			answer, markdown := c.replier.To(message.Chat, message.Text, typing)
			return telegram.Reply{Text: answer, Markdown: markdown}
		},
		Access:     w.access,
		OffsetFile: c.offsetFile,
		Tidy:       c.tidy,
	}, make(chan struct{}), make(chan struct{})}, nil
}

// tidied is called after each round of work.
func tidied(program pages.Program) func() {
	tidy.Limit()
	keeper := &tidy.Keeper{Drop: func() { drop(program) }}
	return keeper.Round
}

// run polls until halt, or until Telegram refuses the token.
func (c *channel) run() error {
	defer close(c.ended)
	for {
		close(c.current.began)
		err := c.current.poller.Run(c.current.stop)
		if c.followed() {
			continue
		}
		if errors.Is(err, telegram.ErrUnauthorized) {
			return errors.Join(errUnusable, err)
		}
		return err
	}
}

// followed lets the line that a reload made take over from the one that has ended; false where there is none.
func (c *channel) followed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == nil || c.halting {
		return false
	}
	c.current, c.next = c.next, nil
	c.stats.Failed("connecting", "")
	return true
}

// halt makes run end in order; an answer that is under way is asked for again after the next start.
func (c *channel) halt() {
	c.mu.Lock()
	c.halting = true
	if c.next == nil { // else it is closed already
		close(c.current.stop)
	}
	interrupt := c.interrupt
	c.mu.Unlock()
	interrupt()
}
