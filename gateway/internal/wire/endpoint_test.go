package wire

import (
	"net"
	"net/url"
	"strings"
	"testing"
)

func TestAnEndpointIsReadFromItsURL(t *testing.T) {
	for text, wanted := range map[string]Endpoint{
		"https://api.telegram.org":       {true, "api.telegram.org", "443", ""},
		"https://api.telegram.org/":      {true, "api.telegram.org", "443", ""},
		"http://127.0.0.1:8081/bots//":   {false, "127.0.0.1", "8081", "/bots"},
		"https://[::1]":                  {true, "::1", "443", ""},
		"https://[2001:db8::7]:8443/a/b": {true, "2001:db8::7", "8443", "/a/b"},
		"http://board.local":             {false, "board.local", "80", ""},
	} {
		if got, err := ParseEndpoint(text); err != nil || got != wanted {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestWhatIsNoEndpointIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "api.telegram.org", "ftp://x", "https://", "https:///path", "https://:443", "https://x:", "https://x:0", "https://x:65536",
		"https://x:1x", "https://x:+80", "https://x:-1", "https://user@x", "https://x/?q", "https://x/#f", "https://x y", "https://x/a\r\nb", "https://ü",
		"https://[::1", "https://[::1]8443", "https://[]", "https://::1", "https://[x]y", "https://x]", "https://x[y",
	} {
		if got, err := ParseEndpoint(text); err == nil {
			t.Errorf("%q was taken as %+v", text, got)
		}
	}
}

// FuzzParseEndpoint holds the reader against net/url, and makes sure that nothing gets into a request's head that ends a line.
func FuzzParseEndpoint(f *testing.F) {
	for _, seed := range []string{"https://api.telegram.org", "http://[::1]:80/x/y/", "https://a:1/", "https://x/a%20b", "https://[::1%25eth0]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseEndpoint(text)
		if err != nil {
			if got != (Endpoint{}) {
				t.Fatalf("%q: %+v beside %v", text, got, err)
			}
			return
		}
		if strings.ContainsAny(got.Host+got.Port+got.Prefix, " \r\n\t?#@") || got.Host == "" || strings.HasSuffix(got.Prefix, "/") {
			t.Fatalf("%q: %+v", text, got)
		}
		wanted, err := url.Parse(text)
		if err != nil {
			return
		}
		port := wanted.Port()
		if port == "" {
			port = map[string]string{"https": "443", "http": "80"}[wanted.Scheme]
		}
		if got.TLS != (wanted.Scheme == "https") || got.Port != port || !strings.Contains(got.Host, "%") && got.Host != wanted.Hostname() {
			t.Fatalf("%q: %+v, net/url reads %q %q", text, got, wanted.Hostname(), port)
		}
		again, err := ParseEndpoint(map[bool]string{true: "https://", false: "http://"}[got.TLS] + net.JoinHostPort(got.Host, got.Port) + got.Prefix)
		if err != nil || again != got {
			t.Fatalf("%q: %+v became %+v, %v", text, got, again, err)
		}
	})
}
