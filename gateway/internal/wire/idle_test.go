package wire

import (
	"io"
	"testing"
	"time"
)

func TestARequestIsMadeAnewWhereTheServerHadGivenUpTheConnection(t *testing.T) {
	t.Parallel()
	const gaveUp = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	p := newPeer(t, func(c *talk) {
		c.request()
		c.say(plain("fine"))
		if _, _, ok := c.request(); ok {
			c.say(gaveUp) // said a moment before the request came
		}
	})
	client := p.client(t)
	for range 2 {
		if status, body, err := post(client, "{}"); err != nil || status != 200 || body != "fine" {
			t.Fatal(status, body, err)
		}
	}
	if made := p.connections.Load(); made != 2 {
		t.Errorf("%d connections", made)
	}

	// On a new connection it is the server's word.
	p = newPeer(t, always(gaveUp))
	if status, _, err := post(p.client(t), "{}"); err != nil || status != 408 || p.requests.Load() != 1 {
		t.Errorf("%d, %v, %d requests", status, err, p.requests.Load())
	}
}

func TestAnAnswerDoesNotWaitForTheEndOfAStreamThatIsLeftOpen(t *testing.T) {
	t.Parallel()
	p := newPeer(t, func(c *talk) {
		c.request()
		if c.number == 1 {
			c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n")
			c.request() // holds the connection open
		}
		c.say(plain("next"))
	})
	client := p.client(t)
	start := time.Now()
	err := client.Post([]byte("/"), nil, testTime, func(_ int, body io.Reader) error {
		_, err := io.ReadFull(body, make([]byte, 4)) // all that is wanted
		return err
	})
	if took := time.Since(start); err != nil || took > testTime/2 {
		t.Errorf("%v after %v", err, took)
	}
	if _, body, err := post(client, "{}"); err != nil || body != "next" || p.connections.Load() != 2 {
		t.Errorf("%q, %v over connection %d", body, err, p.connections.Load())
	}
}
