//go:build telegram

package main

import (
	"errors"
	"path/filepath"
	"time"

	"slimdeploy/gateway/internal/config"
	"slimdeploy/gateway/internal/health"
	"slimdeploy/gateway/internal/logline"
	"slimdeploy/gateway/internal/pages"
	"slimdeploy/gateway/internal/reply"
	"slimdeploy/gateway/internal/telegram"
	"slimdeploy/gateway/internal/tidy"
)

// readyFor is how old the Bot API's last answer may be: a poll's time, and what a slow board and network take on top.
const readyFor = telegram.PollTime + 45*time.Second

var errNoChannel = errors.New("channels.telegram.enabled is not true: there is nothing to do")

type channel struct {
	stats     *health.Stats
	interrupt func() // ends an answer that is under way
	poller    *telegram.Poller
}

func newChannel(settings *config.Config, program pages.Program) (*channel, error) {
	t := settings.Telegram
	if !t.Enabled {
		return nil, errNoChannel
	}
	token, warning, err := config.Secret(t.Token, t.TokenFile)
	if err != nil {
		return nil, errors.New("channels.telegram.token_file: " + err.Error())
	}
	if warning != "" {
		logline.Warn(warning)
	}
	if fault := config.TokenFault(token); fault != "" {
		return nil, errors.New("channels.telegram.token is no bot token: " + fault)
	}
	trusted, err := security(t.CAFile, t.Endpoint.Host)
	if err != nil {
		return nil, errors.New("channels.telegram.ca_file: " + err.Error())
	}
	provider, interrupt, err := newProvider(&settings.Answers)
	if err != nil {
		return nil, err
	}
	bot := telegram.NewBot(t.Endpoint, token, trusted)
	bot.Through(t.Proxy)
	stats := health.NewStats(version, readyFor)
	replier := &reply.Replier{Stats: stats, Provider: provider}
	return &channel{stats, interrupt, &telegram.Poller{
		Bot:   bot,
		Stats: stats,
		Handle: func(message *telegram.Message, typing func()) telegram.Reply {
			answer, markdown := replier.To(message.Chat, message.Text, typing)
			return telegram.Reply{Text: answer, Markdown: markdown}
		},
		Access:     t.AllowFrom,
		OffsetFile: filepath.Join(filepath.Dir(settings.Path), "telegram.offset"),
		Tidy:       tidied(program),
	}}, nil
}

// tidied is called after each round of work.
func tidied(program pages.Program) func() {
	tidy.Limit()
	keeper := &tidy.Keeper{Drop: func() { drop(program) }}
	return keeper.Round
}

func (c *channel) run(stop <-chan struct{}) error {
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-stop:
			c.interrupt()
		case <-ended:
		}
	}()
	err := c.poller.Run(stop)
	if errors.Is(err, telegram.ErrUnauthorized) {
		return errors.Join(errUnusable, err)
	}
	return err
}
