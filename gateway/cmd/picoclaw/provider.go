//go:build telegram

package main

import (
	"crypto/tls"
	"errors"

	"slimdeploy/gateway/internal/config"
	"slimdeploy/gateway/internal/logline"
	"slimdeploy/gateway/internal/openai"
	"slimdeploy/gateway/internal/reply"
	"slimdeploy/gateway/internal/trust"
	"slimdeploy/gateway/internal/wire"
)

// checkAnswers puts the key that a file holds into a, and finds what would keep a provider from working.
func checkAnswers(a *config.Answers) error {
	if a.Provider == "echo" {
		return nil
	}
	key, warning, err := config.Secret(a.Key, a.KeyFile)
	if err != nil {
		return errors.New("providers.openai.api_key_file: " + err.Error())
	}
	if warning != "" {
		logline.Warn(warning)
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] >= 0x7F {
			return errors.New("providers.openai.api_key holds characters that no key has")
		}
	}
	if a.Model == "" {
		return errors.New("agents.defaults.model is missing: which model is to answer?")
	}
	a.Key = key
	return nil
}

// sameAnswers tells whether two that are checked make the same provider.
func sameAnswers(a, b config.Answers) bool {
	same := sameProxy(a.Proxy, b.Proxy)
	a.Proxy, b.Proxy = nil, nil
	return same && a == b
}

func sameProxy(a, b *wire.Proxy) bool {
	return a == b || (a != nil && b != nil && *a == *b)
}

// newProvider makes what answers messages, of what is checked, and what ends an answer that is under way.
func newProvider(a *config.Answers) (provider reply.Provider, interrupt func(), err error) {
	if a.Provider == "echo" {
		return reply.Echo{}, func() {}, nil
	}
	trusted, err := security(a.CAFile, a.Endpoint.Host)
	if err != nil {
		return nil, nil, errors.New("providers.openai.ca_file: " + err.Error())
	}
	model := openai.New(openai.Settings{
		Endpoint: a.Endpoint, Proxy: a.Proxy, Key: a.Key, Model: a.Model, System: a.System,
		MaxTokens: a.MaxTokens, Temperature: a.Temperature, Turns: a.Turns,
	}, trusted)
	return model, model.Interrupt, nil
}

// security is how TLS is spoken with host; caFile is empty where the system's authorities are to be trusted.
func security(caFile, host string) (*tls.Config, error) {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		// Without the post-quantum exchange that Go offers by default: its key shares alone are over a KiB a connection.
		CurvePreferences:   []tls.CurveID{tls.X25519, tls.CurveP256},
		ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}
	trusted, known := trust.System()
	if caFile != "" {
		if err := trust.CheckFile(caFile); err != nil {
			return nil, err
		}
		trusted, known = trust.File(caFile), true
	}
	if known {
		trusted.Secure(config, host)
	}
	return config, nil
}
