package wire

import (
	"encoding/base64"
	"errors"
	"net"
	"strconv"
	"strings"
)

// Proxy is an HTTP proxy through which connections are tunnelled by CONNECT (RFC 9110, section 9.3.6).
type Proxy struct {
	Endpoint Endpoint
	login    string // user:password, a secret; "" for none
}

// ParseProxy reads "http://[user:password@]host:port"; a character of the login may be written as % and two hexadecimal
// digits. The proxy itself is spoken to without TLS, as proxies are.
func ParseProxy(text string) (*Proxy, error) {
	rest, ok := strings.CutPrefix(text, "http://")
	if !ok {
		return nil, errors.New("a proxy begins with http://")
	}
	login, host, found := cutLast(rest, "@")
	if !found {
		login, host = "", rest
	}
	endpoint, err := ParseEndpoint("http://" + host)
	if err != nil {
		return nil, err
	}
	if endpoint.Prefix != "" {
		return nil, errors.New("a proxy has no path")
	}
	if strings.ContainsAny(login, "\r\n") {
		return nil, errors.New("its login holds a line break")
	}
	return &Proxy{endpoint, unescaped(login)}, nil
}

// unescaped undoes the percent-encoding of a login in a URL (RFC 3986, section 2.1); a % that begins no escape stays.
func unescaped(login string) string {
	var text []byte
	for i := 0; i < len(login); i++ {
		c := login[i]
		if c == '%' && i+2 < len(login) {
			if code, err := strconv.ParseUint(login[i+1:i+3], 16, 8); err == nil {
				c = byte(code)
				i += 2
			}
		}
		text = append(text, c)
	}
	return string(text)
}

func cutLast(text, separator string) (before, after string, found bool) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(separator):], true
}

// tunnel asks the proxy at the other end of conn for a connection to the endpoint.
func (c *Client) tunnel(conn net.Conn) error {
	target := net.JoinHostPort(c.endpoint.Host, c.endpoint.Port)
	request := "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n"
	if c.Proxy.login != "" {
		request += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(c.Proxy.login)) + "\r\n"
	}
	if _, err := conn.Write([]byte(request + "\r\n")); err != nil {
		return err
	}
	c.reader.Reset(conn)
	head, err := readHead(c.reader)
	switch {
	case err != nil:
		return errors.New("the proxy: " + err.Error())
	case head.status == 407:
		return errors.New("the proxy wants a login, or refuses the one that it got (407)")
	case head.status < 200 || head.status > 299:
		return errors.New("the proxy makes no connection to " + target + " (" + strconv.Itoa(head.status) + ")")
	case c.reader.Buffered() > 0:
		return errors.New("the proxy says more than it was asked")
	}
	return nil
}
