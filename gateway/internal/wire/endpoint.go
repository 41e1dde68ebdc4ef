package wire

import (
	"errors"
	"strconv"
	"strings"
)

// Endpoint is where a server is. Prefix is the path that stands before every request's own, without a final slash.
type Endpoint struct {
	TLS    bool
	Host   string // a name or an address, without brackets
	Port   string
	Prefix string
}

// ParseEndpoint reads "https://host[:port][/prefix]"; http is for servers on the same machine.
func ParseEndpoint(text string) (Endpoint, error) {
	var endpoint Endpoint
	rest, ok := strings.CutPrefix(text, "https://")
	if ok {
		endpoint.TLS, endpoint.Port = true, "443"
	} else if rest, ok = strings.CutPrefix(text, "http://"); ok {
		endpoint.Port = "80"
	} else {
		return Endpoint{}, errors.New("it has to begin with https:// (or http://)")
	}
	host, prefix, _ := strings.Cut(rest, "/")
	if prefix = strings.TrimRight(prefix, "/"); prefix != "" {
		endpoint.Prefix = "/" + prefix
	}
	for i := range len(rest) {
		if c := rest[i]; c <= ' ' || c >= 0x7F || c == '@' || c == '?' || c == '#' {
			return Endpoint{}, errors.New("it has to be host, port and path only, in ASCII")
		}
	}
	switch {
	case strings.HasPrefix(host, "["): // an IPv6 address
		address, after, closed := strings.Cut(host[1:], "]")
		if !closed || (after != "" && !strings.HasPrefix(after, ":")) {
			return Endpoint{}, errors.New("the bracket of its address is not closed")
		}
		endpoint.Host = address
		if after != "" {
			endpoint.Port = after[1:]
		}
	default:
		name, port, found := strings.Cut(host, ":")
		endpoint.Host = name
		if found {
			endpoint.Port = port
		}
	}
	if number, err := strconv.ParseUint(endpoint.Port, 10, 16); err != nil || number < 1 {
		return Endpoint{}, errors.New("its port is not a number from 1 to 65535")
	}
	if endpoint.Host == "" || strings.ContainsAny(endpoint.Host, "[]") {
		return Endpoint{}, errors.New("it names no host")
	}
	return endpoint, nil
}
