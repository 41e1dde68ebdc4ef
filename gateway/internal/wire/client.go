// Package wire speaks as much HTTP/1.1 (RFC 9112) as a client of the Bot API needs: POST with a JSON body over one
// kept-alive TLS connection. net/http would do it too, for 3 MB of resident memory more.
package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"slimdeploy/gateway/internal/sizes"
)

const (
	connectTime = 20 * time.Second // name lookup, TCP and TLS; a MIPS board needs seconds for an RSA chain
	maxDrain    = 16 << 10         // what is left of a body is read to keep the connection, up to so many bytes
	drainTime   = time.Second      // and for so long: the answer is there, and a server may leave a stream open behind it
	mostRequest = 16 << 10         // how large a buffer for requests is kept: for a longest message
	maxBody     = 8 << 20          // 100 updates of 4,096 characters, each escaped to 12 bytes, are 5 MB
)

// ErrInterrupted is what a call ends with after Interrupt.
var ErrInterrupted = errors.New("interrupted")

// Client has one connection to one endpoint and makes a new one where that is gone. Post is for one goroutine at a time;
// Interrupt and TLS may be called from any.
type Client struct {
	// Authorization is sent with every request, where it is not empty. It is a secret.
	Authorization string
	// Proxy is where connections are tunnelled through, nil for nowhere.
	Proxy *Proxy
	// Dial makes a connection, nil for TCP.
	Dial func() (net.Conn, error)

	endpoint Endpoint
	config   *tls.Config
	reader   *bufio.Reader
	// What one exchange needs and the next one uses again.
	request []byte
	content content
	waste   [512]byte

	mu          sync.Mutex // guards what follows
	conn        net.Conn
	giveUp      context.CancelFunc // ends a connect that is under way
	version     string             // of TLS, as its cipher; both empty without it
	cipher      string
	interrupted bool
}

// NewClient makes a client; nothing is connected before the first Post. config may be nil where the endpoint has no TLS.
func NewClient(endpoint Endpoint, config *tls.Config) *Client {
	if endpoint.TLS {
		config = config.Clone()
		config.ServerName = endpoint.Host
	}
	return &Client{endpoint: endpoint, config: config, reader: bufio.NewReaderSize(nil, sizes.Reader)}
}

// TLS is the protocol and the cipher of the connection, empty without one.
func (c *Client) TLS() (version, cipher string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version, c.cipher
}

// Interrupt ends a Post that is under way, and every later one, with ErrInterrupted.
func (c *Client) Interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	if c.giveUp != nil {
		c.giveUp()
	}
	if c.conn != nil {
		c.conn.SetDeadline(time.Unix(1, 0))
	}
}

// Resume lets Post work again after Interrupt, on a new connection.
func (c *Client) Resume() {
	c.drop()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = false
}

// Close ends the connection; the next Post would make a new one.
func (c *Client) Close() {
	c.drop()
}

func (c *Client) drop() {
	c.mu.Lock()
	conn := c.conn
	c.conn, c.version, c.cipher = nil, "", ""
	c.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
}

// Post sends body to path and calls read with the answer's status and body. All of it has to end within limit.
//
// Where a kept-alive connection turns out to be closed before a byte of the answer came, or given up with a 408, the request
// is sent once more on a new one: servers close idle connections, and a message that may arrive twice is better than one
// that is lost.
func (c *Client) Post(path, body []byte, limit time.Duration, read func(status int, body io.Reader) error) error {
	deadline := time.Now().Add(limit)
	c.mu.Lock()
	kept := c.conn != nil
	c.mu.Unlock()
	answered, err := c.exchange(path, body, kept, deadline, read)
	if err != nil && kept && !answered && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, ErrInterrupted) {
		_, err = c.exchange(path, body, false, deadline, read)
	}
	return err
}

func (c *Client) exchange(
	path, body []byte, kept bool, deadline time.Time, read func(status int, body io.Reader) error,
) (answered bool, err error) {
	defer func() {
		if err != nil {
			c.drop()
			c.mu.Lock()
			if c.interrupted {
				err = ErrInterrupted
			}
			c.mu.Unlock()
		}
	}()
	conn, err := c.connected(deadline)
	if err != nil {
		return false, err
	}
	if err := c.arm(conn, deadline); err != nil {
		return false, err
	}
	if _, err := conn.Write(c.render(path, body)); err != nil {
		return false, err
	}
	if _, err := c.reader.Peek(1); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the server closed the connection")
		}
		return false, err
	}
	head, err := readHead(c.reader)
	if err != nil {
		return true, err
	}
	if head.status == 408 && kept { // said of a connection that was idle, before the request came (RFC 9110, section 15.5.9)
		return false, errors.New("the server gave up waiting for a request")
	}
	content := c.content.of(head, c.reader)
	if err := read(head.status, content); err != nil {
		return true, err
	}
	// Bytes that nobody asked for would be taken for the next answer.
	if !head.keepAlive || c.arm(conn, earlier(deadline, drainTime)) != nil || !c.drained(content) || c.reader.Buffered() > 0 {
		c.drop()
	}
	return true, nil
}

// arm sets the deadline, unless an Interrupt came before: that must not be undone.
func (c *Client) arm(conn net.Conn, deadline time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.interrupted {
		return ErrInterrupted
	}
	return conn.SetDeadline(deadline)
}

// render puts head and body into one buffer, so that they leave in one TLS record and one packet.
func (c *Client) render(path, body []byte) []byte {
	to := append(c.request[:0], "POST "...)
	to = append(to, c.endpoint.Prefix...)
	to = append(to, path...)
	to = append(to, " HTTP/1.1\r\nHost: "...)
	host := c.endpoint.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	to = append(to, host...)
	if standard := c.endpoint.TLS && c.endpoint.Port == "443" || !c.endpoint.TLS && c.endpoint.Port == "80"; !standard {
		to = append(append(to, ':'), c.endpoint.Port...)
	}
	if c.Authorization != "" {
		to = append(append(to, "\r\nAuthorization: "...), c.Authorization...)
	}
	to = append(to, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	to = strconv.AppendInt(to, int64(len(body)), 10)
	to = append(to, "\r\n\r\n"...)
	to = append(to, body...)
	if cap(to) <= mostRequest {
		c.request = to
	}
	return to
}

// drained reads what is left of a body; false where that is too much to be worth it.
func (c *Client) drained(body io.Reader) bool {
	for left := maxDrain; left > 0; {
		n, err := body.Read(c.waste[:])
		if err != nil {
			return errors.Is(err, io.EOF)
		}
		left -= n
	}
	return false
}
