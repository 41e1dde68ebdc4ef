package config

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"slimdeploy/gateway/internal/wire"
)

// Telegram is channels.telegram. CAFile is empty where the system's certificates are to be trusted.
type Telegram struct {
	Enabled   bool
	Token     string
	TokenFile string // holds the token, where Token is empty
	Endpoint  wire.Endpoint
	CAFile    string
	AllowFrom []string // ids and usernames; everybody where it is empty
	Proxy     *wire.Proxy
}

func (p *parser) telegram(path string) error {
	t := &p.config.Telegram
	return p.section(path, map[string]func(string) error{
		"enabled":    func(string) (err error) { t.Enabled, err = p.Bool(); return err },
		"token":      func(string) (err error) { t.Token, err = p.String(maxString); return err },
		"token_file": func(string) (err error) { t.TokenFile, err = p.String(maxString); return err },
		"ca_file":    func(string) (err error) { t.CAFile, err = p.String(maxString); return err },
		"proxy":      func(string) error { return p.proxy(&t.Proxy) },
		"allow_from": func(string) error { return p.allowFrom(&t.AllowFrom) },
		"base_url":   func(string) error { return p.endpoint(&t.Endpoint) },
	})
}

// allowFrom reads a list of ids, as numbers or texts, and usernames.
func (p *parser) allowFrom(to *[]string) error {
	return p.Array(func() error {
		if len(*to) == maxAllowed {
			return p.Fault("it holds more than " + strconv.Itoa(maxAllowed) + " entries")
		}
		if id, err := p.Int64(); err == nil {
			*to = append(*to, strconv.FormatInt(id, 10))
			return nil
		}
		text, err := p.String(maxString)
		if err != nil {
			return p.Fault("an id or a username is expected")
		}
		if text = strings.TrimSpace(text); text == "" {
			return p.Fault("an entry is empty, and would let nobody in")
		}
		*to = append(*to, text)
		return nil
	})
}

const maxAllowed = 1000

// Secret is value, or what the file holds where value is empty. warning is not empty where others can read the file.
func Secret(value, file string) (secret, warning string, err error) {
	if value != "" || file == "" {
		return value, "", nil
	}
	opened, err := os.Open(file)
	if err != nil {
		return "", "", err
	}
	defer opened.Close()
	text, err := io.ReadAll(io.LimitReader(opened, maxString+1)) // it may be one without an end, such as /dev/zero
	if err != nil {
		return "", "", err
	}
	if len(text) > maxString {
		return "", "", errors.New(file + ": it is too long for a secret")
	}
	return strings.TrimSpace(string(text)), Exposed(file), nil
}

// Exposed says that others can read a file with secrets, and the cure; "" where they can't.
func Exposed(file string) string {
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return ""
	}
	return file + " can be read by others: chmod 600 " + file
}

// TokenFault says why the token can't be a bot's, without the token in it; "" where it has the form of one
// (core.telegram.org/bots/api, "Authorizing your bot").
func TokenFault(token string) string {
	number := 0
	for number < len(token) && '0' <= token[number] && token[number] <= '9' {
		number++
	}
	switch {
	case token == "":
		return "it is empty"
	case number == 0 || number == len(token) || token[number] != ':':
		return "it has to be the bot's number, a colon and 35 characters"
	case len(token)-number-1 != 35:
		return strconv.Itoa(len(token)-number-1) + " characters follow the colon instead of 35"
	}
	for _, c := range []byte(token[number+1:]) {
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return "it holds characters other than letters, digits, _ and -"
		}
	}
	return ""
}
