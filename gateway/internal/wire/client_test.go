package wire

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

func TestARequestIsWhatAnHTTPServerUnderstands(t *testing.T) {
	t.Parallel()
	type seen struct{ method, path, host, kind, body string }
	got := make(chan seen, 1)
	p := newPeer(t, func(c *talk) {
		request, body, ok := c.request()
		if ok {
			got <- seen{request.Method, request.URL.Path, request.Host, request.Header.Get("Content-Type"), body}
			c.say(plain("{}"))
		}
	})
	p.endpoint.Prefix = "/behind/a/proxy"
	if _, _, err := post(p.client(t), `{"a":"ü"}`); err != nil {
		t.Fatal(err)
	}
	wanted := seen{"POST", "/behind/a/proxy/method", "127.0.0.1:" + p.endpoint.Port, "application/json", `{"a":"ü"}`}
	if found := <-got; found != wanted {
		t.Errorf("%+v instead of %+v", found, wanted)
	}
}

func TestTheConnectionIsKept(t *testing.T) {
	t.Parallel()
	p := newPeer(t, always(plain("fine")))
	client := p.client(t)
	for range 20 {
		if status, body, err := post(client, "{}"); err != nil || status != 200 || body != "fine" {
			t.Fatal(status, body, err)
		}
	}
	if made := p.connections.Load(); made != 1 {
		t.Errorf("%d connections for 20 calls", made)
	}
	if version, cipher := client.TLS(); version != "TLS 1.3" || !strings.HasPrefix(cipher, "TLS_") {
		t.Errorf("%q %q", version, cipher)
	}
}

func TestTheRestOfAHalfReadBodyDoesNotSpoilTheNextAnswer(t *testing.T) {
	t.Parallel()
	for left, wanted := range map[int]int32{100: 1, maxDrain - 100: 1, 3 * maxDrain: 3} {
		p := newPeer(t, always(plain(strings.Repeat("x", left))))
		client := p.client(t)
		for range 3 {
			err := client.Post([]byte("/"), nil, testTime, func(status int, body io.Reader) error {
				_, err := io.ReadFull(body, make([]byte, 10))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if made := p.connections.Load(); made != wanted {
			t.Errorf("%d bytes: %d connections instead of %d", left, made, wanted)
		}
	}
}

func TestAConnectionIsNotKeptAfterBytesThatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	p := newPeer(t, always(plain("mine")+plain("forged")))
	client := p.client(t)
	for range 2 {
		if _, body, err := post(client, "{}"); err != nil || body != "mine" {
			t.Fatal(body, err)
		}
	}
}

func TestAServerThatWantsToCloseIsLetGo(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nConnection: Foo, Close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
	} {
		p := newPeer(t, always(answer))
		client := p.client(t)
		for range 2 {
			if _, body, err := post(client, "{}"); err != nil || body != "{}" {
				t.Errorf("%q: %q, %v", answer, body, err)
			}
		}
		if made := p.connections.Load(); made != 2 {
			t.Errorf("%q: %d connections", answer, made)
		}
	}
}

func TestAKeptConnectionThatTheServerClosedIsReplacedOnce(t *testing.T) {
	t.Parallel()
	p := newPeer(t, func(c *talk) {
		if _, _, ok := c.request(); ok {
			c.say(plain("fine")) // and closes, though it has not said so
		}
	})
	client := p.client(t)
	for range 3 {
		if _, body, err := post(client, "{}"); err != nil || body != "fine" {
			t.Fatal(body, err)
		}
		time.Sleep(20 * time.Millisecond) // so that the end of the connection has arrived
	}
	if made := p.connections.Load(); made != 3 {
		t.Errorf("%d connections", made)
	}
}

func TestAServerThatNeverAnswersIsNotAskedForever(t *testing.T) {
	t.Parallel()
	p := newPeer(t, func(c *talk) {
		if c.number == 1 {
			c.request()
			c.say(plain("fine"))
		}
		c.request() // and closes without a word
	})
	client := p.client(t)
	if _, _, err := post(client, "{}"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := post(client, "{}"); err == nil {
		t.Fatal("a call without an answer succeeded")
	}
	if asked := p.requests.Load(); asked != 3 { // the good one, the one on the kept connection, and one more
		t.Errorf("%d requests", asked)
	}
	if _, _, err := post(client, "{}"); err == nil { // on a new connection at once: not a second time
		t.Fatal("a call without an answer succeeded")
	}
	if asked := p.requests.Load(); asked != 4 {
		t.Errorf("%d requests", asked)
	}
}

func TestNothingIsSentAgainOnceAnAnswerHasBegun(t *testing.T) {
	t.Parallel()
	for _, torn := range []string{"H", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"} {
		p := newPeer(t, func(c *talk) {
			c.request()
			c.say(plain("fine"))
			if _, _, ok := c.request(); ok {
				c.say(torn)
			}
		})
		client := p.client(t)
		if _, _, err := post(client, "{}"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := post(client, "{}"); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v", torn, err)
		}
		if asked := p.requests.Load(); asked != 2 {
			t.Errorf("%q: %d requests", torn, asked)
		}
	}
}

func TestACallEndsWithItsTime(t *testing.T) {
	t.Parallel()
	for _, begun := range []string{"", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"} {
		p := newPeer(t, func(c *talk) {
			c.request()
			c.say(begun)
			c.request() // holds the connection open
		})
		start := time.Now()
		err := p.client(t).Post([]byte("/"), nil, 100*time.Millisecond, func(_ int, body io.Reader) error {
			_, err := io.ReadAll(body)
			return err
		})
		if took := time.Since(start); !errors.Is(err, os.ErrDeadlineExceeded) || took > time.Second {
			t.Errorf("%q: %v after %v", begun, err, took)
		}
	}
}

func TestAServerThatIsNotTheOneIsRefused(t *testing.T) {
	t.Parallel()
	p := newPeer(t, func(c *talk) {
		if request, _, ok := c.request(); ok {
			t.Error("a stranger was given", request.URL.Path)
		}
	})
	stranger := NewClient(p.endpoint, &tls.Config{RootCAs: x509.NewCertPool()})
	var authority x509.UnknownAuthorityError
	if _, _, err := post(stranger, "{}"); !errors.As(err, &authority) {
		t.Errorf("an unknown authority: %v", err)
	}
	p.endpoint.Host = "localhost" // which the certificate does not name
	var name x509.HostnameError
	if _, _, err := post(p.client(t), "{}"); !errors.As(err, &name) {
		t.Errorf("another host name: %v", err)
	}
	if version, _ := stranger.TLS(); version != "" {
		t.Errorf("%q without a connection", version)
	}
}

func TestAnEndpointMayBeAnIPv6AddressOrWithoutTLS(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6 loopback:", err)
	}
	defer listener.Close()
	hosts := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		c := &talk{Conn: conn, peer: &peer{}, in: bufio.NewReader(conn)}
		if request, _, ok := c.request(); ok {
			hosts <- request.Host
			c.say(plain("fine"))
		}
	}()
	endpoint, err := ParseEndpoint("http://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client := NewClient(endpoint, nil)
	defer client.Close()
	if _, body, err := post(client, "{}"); err != nil || body != "fine" {
		t.Fatal(body, err)
	}
	if host := <-hosts; host != listener.Addr().String() {
		t.Errorf("Host: %q", host)
	}
}
