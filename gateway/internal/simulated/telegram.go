// Package simulated is a Telegram without a network: a connection in memory at whose other end updates wait and replies
// are counted. It also puts the gateway's message path before it, for simulate, membench and tests.
//
// The message path itself is the gateway's own: packages telegram, wire, reply and markdown.
package simulated

import (
	"net"
	"sync"
	"time"
)

const (
	// Name is the bot's user name, as getMe tells it.
	Name = "simulated_bot"
	// Token has a token's form. It opens nothing.
	Token = "1000000:SIMULATED-SIMULATED-SIMULATED-SIMUL"
	// NoOffset is what a file with the bot's offset holds when nothing is confirmed yet.
	NoOffset = "1000000 0\n"
)

// Telegram has updates for getUpdates and takes sendMessage. It allocates only while its buffers grow, so that what is
// allocated in a burst is the gateway's. Updates are numbered from 1; number n is of the kind after number n-1's.
type Telegram struct {
	// Sent, where it is not nil, is given the body of every sendMessage. It is set before the first call.
	Sent func(body []byte)

	kinds []Kind

	mu        sync.Mutex
	changed   sync.Cond
	confirmed chan struct{} // has one element when everything put up was confirmed
	last      int64         // the last update that was put up
	offset    int64         // updates before it are confirmed
	answered  int64         // messages that got all their answers, but for that of current
	wrong     int64
	current   int64 // the update that was answered last
	pieces    int   // how many answers it got
	out       []byte
}

// New makes one whose updates are of kinds, one after the other.
func New(kinds ...Kind) *Telegram {
	t := &Telegram{kinds: kinds, offset: 1, confirmed: make(chan struct{}, 1)}
	t.changed.L = &t.mu
	return t
}

// Deliver puts up n more updates.
func (t *Telegram) Deliver(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.confirmed:
	default:
	}
	t.last += int64(n)
	t.changed.Broadcast()
}

// Wait waits until everything that was put up is confirmed; false where that takes longer than limit.
func (t *Telegram) Wait(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-t.confirmed:
		return true
	case <-timer.C:
		return false
	}
}

// Counts are of updates.
type Counts struct {
	Updates  int64 // put up
	Produced int64 // of those, messages that deserve an answer
	Answered int64 // messages that got all their answers, and no more
	Wrong    int64 // messages that got too few or too many, or one that they did not deserve
}

// Counts tells what was put up and answered so far.
func (t *Telegram) Counts() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := Counts{Updates: t.last, Answered: t.answered, Wrong: t.wrong}
	for i, kind := range t.kinds {
		if kind.Answers() > 0 {
			c.Produced += (t.last + int64(len(t.kinds)-1-i)) / int64(len(t.kinds))
		}
	}
	answered, wrong := t.judged()
	c.Answered += answered
	c.Wrong += wrong
	return c
}

func (t *Telegram) kind(id int64) Kind { return t.kinds[(id-1)%int64(len(t.kinds))] }

// judged tells whether the update that was answered last got just what it deserves.
func (t *Telegram) judged() (answered, wrong int64) {
	switch {
	case t.current == 0:
		return 0, 0
	case t.pieces == t.kind(t.current).Answers():
		return 1, 0
	}
	return 0, 1
}

// take counts an answer.
func (t *Telegram) take(chat int64) {
	id := update(chat)
	switch {
	case id < t.current || id > t.last: // answers come in the order of the updates
		t.wrong++
	case id == t.current:
		t.pieces++
	default:
		answered, wrong := t.judged()
		t.answered += answered
		t.wrong += wrong
		t.current, t.pieces = id, 1
	}
}

// confirm notes a getUpdates' offset.
func (t *Telegram) confirm(offset int64) {
	if offset <= t.offset {
		return
	}
	t.offset = offset
	if t.offset > t.last {
		select {
		case t.confirmed <- struct{}{}:
		default:
		}
	}
}

// Dial makes a connection; it is what telegram.Bot.Over takes.
func (t *Telegram) Dial() (net.Conn, error) { return &conn{t: t}, nil }
