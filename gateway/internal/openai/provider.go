// Package openai answers through any endpoint that speaks OpenAI's chat completions
// (platform.openai.com/docs/api-reference/chat). Answers are read as a stream, and no more of one is kept than is sent.
package openai

import (
	"crypto/tls"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"slimdeploy/gateway/internal/jsonstream"
	"slimdeploy/gateway/internal/logline"
	"slimdeploy/gateway/internal/wire"
)

const (
	// MaxAnswer is how much of an answer is kept, in bytes: some four messages of Telegram's.
	MaxAnswer = 16 << 10
	// answerTime bounds a whole answer; models that think take minutes.
	answerTime = 3 * time.Minute
	// idleTime is how long the connection is kept without use: a TLS connection holds tens of KiB.
	idleTime = time.Minute
)

// Settings say where the model is and how it is asked. Temperature is as it is written in JSON, "" for the model's own.
type Settings struct {
	Endpoint    wire.Endpoint // with its prefix, such as /v1
	Key         string
	Model       string
	System      string // the system prompt, "" for none
	MaxTokens   int    // 0 for the model's own
	Temperature string
	Proxy       *wire.Proxy
	Turns       int // how many messages of a chat are remembered, its user's and the model's
}

// Provider answers with a model. Answer is for one goroutine; Interrupt may be called from any.
type Provider struct {
	settings Settings
	client   *wire.Client
	history  history
	told     wire.Told

	mu   sync.Mutex // held while the connection is in use
	idle *time.Timer
}

// New makes a provider; nothing is connected before the first Answer.
func New(settings Settings, security *tls.Config) *Provider {
	client := wire.NewClient(settings.Endpoint, security)
	client.Proxy = settings.Proxy
	if settings.Key != "" {
		client.Authorization = "Bearer " + settings.Key
	}
	return &Provider{settings: settings, client: client}
}

// Slow is true: a model takes seconds.
func (p *Provider) Slow() bool { return true }

// Interrupt ends an answer that is under way, and every later one.
func (p *Provider) Interrupt() { p.client.Interrupt() }

// Answer is what the model says in a chat, or one sentence about why it says nothing.
func (p *Provider) Answer(chat int64, text string) (answer string, markdown bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.idle != nil {
		p.idle.Stop()
	}
	said, err := p.ask(chat, text)
	p.idle = time.AfterFunc(idleTime, p.rest)
	already := p.told.Already(err)
	if err != nil {
		if !already {
			logline.Error("the model did not answer", "error", p.masked(err))
		}
		var failure *Failure
		if errors.As(err, &failure) && failure.tooLong() {
			p.history.forget(chat)
		}
		return sentence(err, p.settings.Model), false
	}
	p.history.add(chat, text, said.text, p.settings.Turns)
	switch {
	case said.broken != nil:
		logline.Warn("the model's answer broke off", "error", p.masked(said.broken))
		return said.text + "\n\n(The answer broke off here.)", true
	case said.cut:
		return said.text + "\n\n(The answer was longer; it is cut here.)", true
	}
	return said.text, true
}

// masked is what err says, without the key: an endpoint may repeat it.
func (p *Provider) masked(err error) string {
	if p.settings.Key == "" {
		return err.Error()
	}
	return strings.ReplaceAll(err.Error(), p.settings.Key, "…")
}

func (p *Provider) rest() {
	if p.mu.TryLock() {
		defer p.mu.Unlock()
		p.client.Close()
	}
}

func (p *Provider) ask(chat int64, text string) (said said, err error) {
	err = p.client.Post([]byte("/chat/completions"), p.request(chat, text), answerTime, func(status int, body io.Reader) error {
		return said.read(status, body)
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	switch {
	case err != nil && said.text != "" && !errors.Is(err, wire.ErrInterrupted):
		said.broken = err // what came is worth more than nothing
		return said, nil
	case err == nil && said.text == "":
		return said, errEmpty
	}
	return said, err
}

// request renders the question with what was said before.
func (p *Provider) request(chat int64, text string) []byte {
	s := &p.settings
	to := append(make([]byte, 0, 1024), `{"stream":true,"model":`...)
	to = jsonstream.AppendString(to, s.Model)
	if s.MaxTokens > 0 {
		to = strconv.AppendInt(append(to, `,"max_tokens":`...), int64(s.MaxTokens), 10)
	}
	if s.Temperature != "" {
		to = append(append(to, `,"temperature":`...), s.Temperature...)
	}
	to = append(to, `,"messages":[`...)
	say := func(role, content string) {
		if to[len(to)-1] == '}' {
			to = append(to, ',')
		}
		to = append(append(append(to, `{"role":"`...), role...), `","content":`...)
		to = append(jsonstream.AppendString(to, content), '}')
	}
	if s.System != "" {
		say("system", s.System)
	}
	p.history.each(chat, say)
	say("user", text)
	return append(to, "]}"...)
}
