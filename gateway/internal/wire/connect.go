package wire

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// connected is the connection that there is, or a new one, through the proxy and under TLS where that is wanted.
func (c *Client) connected(deadline time.Time) (net.Conn, error) {
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	if conn != nil {
		return conn, nil
	}
	deadline = earlier(deadline, connectTime)
	conn, err := c.dial(deadline)
	if err != nil {
		return nil, err
	}
	if err := c.arm(conn, deadline); err != nil {
		return nil, err
	}
	if c.Proxy != nil {
		if err := c.tunnel(conn); err != nil {
			return nil, err
		}
	}
	if c.endpoint.TLS {
		secured := tls.Client(conn, c.config)
		if err := secured.Handshake(); err != nil {
			return nil, explained(err, c.endpoint.Host, c.now())
		}
		state := secured.ConnectionState()
		c.mu.Lock()
		c.conn = secured
		// Their names are looked up once: CipherSuiteName makes a list of all suites each time.
		c.version, c.cipher = tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite)
		c.mu.Unlock()
		conn = secured
	}
	c.reader.Reset(conn)
	return conn, nil
}

// earlier is deadline, or the end of limit from now on where that comes first.
func earlier(deadline time.Time, limit time.Duration) time.Time {
	if soon := time.Now().Add(limit); soon.Before(deadline) {
		return soon
	}
	return deadline
}

// now is the time by which certificates are judged.
func (c *Client) now() time.Time {
	if c.config.Time != nil {
		return c.config.Time()
	}
	return time.Now()
}

// dial makes the TCP connection. An Interrupt ends it, also while a name is looked up.
func (c *Client) dial(deadline time.Time) (net.Conn, error) {
	connecting, giveUp := context.WithDeadline(context.Background(), deadline)
	defer giveUp()
	c.mu.Lock()
	interrupted := c.interrupted
	c.giveUp = giveUp
	c.mu.Unlock()
	if interrupted {
		return nil, ErrInterrupted
	}
	conn, err := c.dialed(connecting)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn, c.giveUp = conn, nil // from here on an Interrupt reaches the connection
	return conn, err
}

func (c *Client) dialed(connecting context.Context) (net.Conn, error) {
	if c.Dial != nil {
		return c.Dial()
	}
	dialer := net.Dialer{KeepAlive: 30 * time.Second}
	first := c.endpoint
	if c.Proxy != nil {
		first = c.Proxy.Endpoint
	}
	return dialer.DialContext(connecting, "tcp", net.JoinHostPort(first.Host, first.Port))
}
