package wire

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"
)

func TestAnInterruptEndsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	for name, serve := range map[string]func(*talk, chan<- bool){
		"before the answer": func(c *talk, there chan<- bool) { c.request(); there <- true; c.request() },
		"inside the body": func(c *talk, there chan<- bool) {
			c.request()
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
			there <- true
			c.request()
		},
		"on a kept connection": func(c *talk, there chan<- bool) {
			c.request()
			c.say(plain("fine"))
			c.request()
			there <- true
			c.request()
		},
	} {
		there := make(chan bool, 1)
		p := newPeer(t, func(c *talk) { serve(c, there) })
		client := p.client(t)
		if name == "on a kept connection" {
			if _, _, err := post(client, "{}"); err != nil {
				t.Fatal(err)
			}
		}
		ended := make(chan error, 1)
		go func() {
			_, _, err := post(client, "{}")
			ended <- err
		}()
		<-there
		start := time.Now()
		client.Interrupt()
		err := <-ended
		if took := time.Since(start); !errors.Is(err, ErrInterrupted) || took > 100*time.Millisecond {
			t.Errorf("%s: %v after %v", name, err, took)
		}
		if made := p.connections.Load(); made != 1 {
			t.Errorf("%s: %d connections", name, made)
		}
	}
}

func TestAnInterruptEndsAHandshake(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	client := NewClient(Endpoint{TLS: true, Host: "127.0.0.1", Port: port}, &tls.Config{})
	ended := make(chan error, 1)
	go func() {
		_, _, err := post(client, "{}")
		ended <- err
	}()
	conn, err := listener.Accept() // and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Read(make([]byte, 1))
	start := time.Now()
	client.Interrupt()
	err = <-ended
	if took := time.Since(start); !errors.Is(err, ErrInterrupted) || took > 100*time.Millisecond {
		t.Errorf("%v after %v", err, took)
	}
}

func TestAnInterruptHoldsUntilResume(t *testing.T) {
	t.Parallel()
	p := newPeer(t, always(plain("fine")))
	client := p.client(t)
	client.Interrupt()
	for range 2 {
		if _, _, err := post(client, "{}"); !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
	}
	if made := p.connections.Load(); made != 0 {
		t.Errorf("%d connections of an interrupted client", made)
	}
	client.Resume()
	if _, body, err := post(client, "{}"); err != nil || body != "fine" {
		t.Fatal(body, err)
	}
	client.Interrupt() // while the connection is idle
	if _, _, err := post(client, "{}"); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	client.Resume()
	if _, body, err := post(client, "{}"); err != nil || body != "fine" {
		t.Fatal(body, err)
	}
}

func TestAnInterruptIsNeverLost(t *testing.T) {
	t.Parallel()
	p := newPeer(t, func(c *talk) {
		for {
			if _, _, ok := c.request(); !ok {
				return
			}
			if c.number%2 == 0 {
				c.say(plain("fine"))
			} // else it lets the client wait
		}
	})
	client := p.client(t)
	for round := range 200 { // at another point of the call in each round
		ended := make(chan error, 1)
		go func() {
			for {
				if _, _, err := post(client, "{}"); err != nil {
					ended <- err
					return
				}
			}
		}()
		time.Sleep(time.Duration(round) * 20 * time.Microsecond)
		client.Interrupt()
		select {
		case err := <-ended:
			if !errors.Is(err, ErrInterrupted) {
				t.Fatal(round, err)
			}
		case <-time.After(time.Second):
			t.Fatal("an interrupt was lost in round", round)
		}
		client.Resume()
	}
}
