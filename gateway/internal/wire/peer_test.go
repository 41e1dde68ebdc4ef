package wire

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const testTime = 10 * time.Second

// peer is a TLS server that says, byte for byte, what a test wants said.
type peer struct {
	endpoint    Endpoint
	roots       *x509.CertPool
	connections atomic.Int32
	requests    atomic.Int32
}

// talk is one connection of a peer; number counts them from 1.
type talk struct {
	net.Conn
	peer   *peer
	in     *bufio.Reader
	number int
}

// newPeer calls serve for each connection, and closes that when serve returns.
func newPeer(t *testing.T, serve func(*talk)) *peer {
	t.Helper()
	certificate, roots := certificate()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	p := &peer{endpoint: Endpoint{TLS: true, Host: "127.0.0.1", Port: port}, roots: roots}
	var running sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			number := int(p.connections.Add(1))
			running.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(testTime))
				serve(&talk{conn, p, bufio.NewReader(conn), number})
			})
		}
	}()
	return p
}

// certificate is for 127.0.0.1, ::1 and example.com, and trusted by roots.
var certificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return server.TLS.Certificates[0], roots
})

// request reads one request with net/http's own parser; ok is false where the client sends none.
func (c *talk) request() (request *http.Request, body string, ok bool) {
	request, err := http.ReadRequest(c.in)
	if err != nil {
		return nil, "", false
	}
	text, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, "", false
	}
	c.peer.requests.Add(1)
	return request, string(text), true
}

func (c *talk) say(text string) { io.WriteString(c, text) }

// plain is an answer with a length.
func plain(body string) string {
	return "HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// always answers every request on a connection with the same bytes.
func always(answer string) func(*talk) {
	return func(c *talk) {
		for {
			if _, _, ok := c.request(); !ok {
				return
			}
			c.say(answer)
		}
	}
}

func (p *peer) client(t *testing.T) *Client {
	client := NewClient(p.endpoint, &tls.Config{RootCAs: p.roots})
	t.Cleanup(client.Close)
	return client
}

// post makes one call and returns status and body.
func post(client *Client, body string) (status int, answer string, err error) {
	err = client.Post([]byte("/method"), []byte(body), testTime, func(code int, content io.Reader) error {
		status = code
		text, err := io.ReadAll(content)
		answer = string(text)
		return err
	})
	return status, answer, err
}
