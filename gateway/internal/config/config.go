// Package config reads the gateway's config file: a part of PicoClaw's, so that a full one can be used as it is.
//
// It says where a fault stands; whether a gateway can run with what is written is the caller's to decide.
package config

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"slimdeploy/gateway/internal/jsonstream"
	"slimdeploy/gateway/internal/wire"
)

// DefaultBaseURL is Telegram's own Bot API server (core.telegram.org/bots/api, "Making requests").
const DefaultBaseURL = "https://api.telegram.org"

const (
	maxFile   = 1 << 20
	maxString = 4096
)

// Config is what the gateway uses of the file.
type Config struct {
	Path     string // of the file
	Telegram Telegram
	Answers  Answers
	Health   Health
	// Ignored are the keys that the gateway does not use, as dotted paths in the file's order.
	Ignored []string
}

// Health is where the gateway answers about itself.
type Health struct {
	Host string
	Port int
}

// Path is where the config lies: the flag's value, else $PICOCLAW_HOME/config.json, else ~/.picoclaw/config.json.
func Path(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if home := os.Getenv("PICOCLAW_HOME"); home != "" {
		return filepath.Join(home, "config.json"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("neither --config nor PICOCLAW_HOME nor HOME says where the config is")
	}
	return filepath.Join(home, ".picoclaw", "config.json"), nil
}

// Load reads the file at path. Every error begins with the path.
func Load(path string) (*Config, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, errors.New(path + ": it is larger than 1 MiB")
	}
	config, err := Parse(text)
	if err != nil {
		return nil, errors.New(path + ": " + err.Error())
	}
	config.Path = path
	return config, nil
}

// Parse reads a config's text, with or without a UTF-8 byte order mark.
func Parse(text []byte) (*Config, error) {
	text = bytes.TrimPrefix(text, []byte("\xEF\xBB\xBF"))
	p := parser{
		Reader: jsonstream.NewReader(bufio.NewReader(bytes.NewReader(text))),
		config: &Config{Health: Health{Host: "127.0.0.1", Port: 8080}, Answers: defaultAnswers()},
	}
	p.config.Telegram.Endpoint, _ = wire.ParseEndpoint(DefaultBaseURL)
	err := p.section("", map[string]func(string) error{
		"channels": func(path string) error {
			return p.section(path, map[string]func(string) error{"telegram": p.telegram})
		},
		"agents":    p.agents,
		"providers": p.providers,
		"gateway": func(path string) error {
			return p.section(path, map[string]func(string) error{"host": p.healthHost, "port": p.healthPort})
		},
	})
	if err == nil {
		err = p.End()
	}
	if err != nil {
		return nil, err
	}
	return p.config, nil
}

type parser struct {
	*jsonstream.Reader
	config *Config
}

// section reads an object whose members have a reader each; the others are noted and passed over.
func (p *parser) section(path string, members map[string]func(path string) error) error {
	if path != "" {
		path += "."
	}
	seen := map[string]bool{}
	return p.Object(func(name []byte) error {
		key := string(name)
		read := members[key]
		if read == nil {
			p.config.Ignored = append(p.config.Ignored, path+key)
			return p.Skip()
		}
		if seen[key] {
			return p.Fault(path + key + " stands twice")
		}
		seen[key] = true
		if null, err := p.Null(); null || err != nil { // as PicoClaw writes an empty list
			return named(path+key, err)
		}
		return named(path+key, read(path+key))
	})
}

// named puts the key into a fault, once.
func named(path string, err error) error {
	var fault *jsonstream.SyntaxError
	if errors.As(err, &fault) && !bytes.HasPrefix([]byte(fault.Problem), []byte(path)) {
		fault.Problem = path + ": " + fault.Problem
	}
	return err
}

func (p *parser) healthHost(string) (err error) {
	p.config.Health.Host, err = p.String(maxString)
	return err
}

func (p *parser) healthPort(string) error {
	port, err := p.Int64()
	if err == nil && (port < 1 || port > 65535) {
		err = p.Fault("a port lies between 1 and 65535, " + strconv.FormatInt(port, 10) + " does not")
	}
	p.config.Health.Port = int(port)
	return err
}
