package config

import (
	"strconv"

	"slimdeploy/gateway/internal/wire"
)

// DefaultOpenAIBase is OpenAI's own (platform.openai.com/docs/api-reference).
const DefaultOpenAIBase = "https://api.openai.com/v1"

// Answers is agents.defaults and providers.openai: who answers, and how that is asked.
type Answers struct {
	Provider    string // "echo" or "openai"
	Model       string
	System      string
	MaxTokens   int    // 0 for the model's own
	Temperature string // as it is written, "" for the model's own
	Turns       int    // how many messages of a chat are remembered

	Endpoint wire.Endpoint
	Key      string
	KeyFile  string
	CAFile   string
	Proxy    *wire.Proxy
}

const (
	echo, openai = "echo", "openai"
	maxPrompt    = 32 << 10
	maxTurns     = 100
	maxTokens    = 1 << 20
)

func defaultAnswers() Answers {
	endpoint, _ := wire.ParseEndpoint(DefaultOpenAIBase)
	return Answers{Provider: echo, Turns: 6, Endpoint: endpoint}
}

func (p *parser) agents(path string) error {
	return p.section(path, map[string]func(string) error{"defaults": p.agentDefaults})
}

func (p *parser) agentDefaults(path string) error {
	a := &p.config.Answers
	return p.section(path, map[string]func(string) error{
		"provider": func(string) error {
			name, err := p.String(maxString)
			if err == nil && name != "" && name != echo && name != openai {
				err = p.Fault("this gateway knows " + echo + " and " + openai + " only")
			}
			if name != "" {
				a.Provider = name
			}
			return err
		},
		"model":         func(string) (err error) { a.Model, err = p.String(maxString); return err },
		"system_prompt": func(string) (err error) { a.System, err = p.String(maxPrompt); return err },
		"max_tokens":    func(string) error { return p.whole(&a.MaxTokens, maxTokens) },
		"max_history":   func(string) error { return p.whole(&a.Turns, maxTurns) },
		"temperature":   func(string) (err error) { a.Temperature, err = p.Number(); return err },
	})
}

func (p *parser) providers(path string) error {
	return p.section(path, map[string]func(string) error{"openai": p.openai})
}

func (p *parser) openai(path string) error {
	a := &p.config.Answers
	return p.section(path, map[string]func(string) error{
		"api_key":      func(string) (err error) { a.Key, err = p.String(maxString); return err },
		"api_key_file": func(string) (err error) { a.KeyFile, err = p.String(maxString); return err },
		"ca_file":      func(string) (err error) { a.CAFile, err = p.String(maxString); return err },
		"proxy":        func(string) error { return p.proxy(&a.Proxy) },
		"api_base":     func(string) error { return p.endpoint(&a.Endpoint) },
	})
}

// whole reads a whole number from 0 to most.
func (p *parser) whole(to *int, most int64) error {
	number, err := p.Int64()
	if err == nil && (number < 0 || number > most) {
		err = p.Fault("it has to lie between 0 and " + strconv.FormatInt(most, 10))
	}
	*to = int(number)
	return err
}

// endpoint reads an address; an empty text leaves the default.
func (p *parser) endpoint(to *wire.Endpoint) error {
	text, err := p.String(maxString)
	if err != nil || text == "" {
		return err
	}
	endpoint, err := wire.ParseEndpoint(text)
	if err != nil {
		return p.Fault(err.Error())
	}
	*to = endpoint
	return nil
}

// proxy reads where to tunnel through; an empty text means nowhere. A fault does not repeat it: it may hold a password.
func (p *parser) proxy(to **wire.Proxy) error {
	text, err := p.String(maxString)
	if err != nil || text == "" {
		return err
	}
	proxy, err := wire.ParseProxy(text)
	if err != nil {
		return p.Fault(err.Error())
	}
	*to = proxy
	return nil
}
