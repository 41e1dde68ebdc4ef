package simulated

import (
	"bytes"
	"net"
	"os"
	"strconv"
	"time"
)

// conn is the gateway's end of a connection. There is nobody at the other: a request is understood when it is written,
// and its answer made while it is read.
type conn struct {
	t       *Telegram
	request []byte
	left    []byte // what was made of the answer and is not read yet
	next    int64  // the updates from here ...
	end     int64  // ... to before this one are to follow, and a tail
	tail    string
	waits   bool // a getUpdates is held until there are updates
	limit   int64
	timer   *time.Timer
	expired bool
	closed  bool
}

const (
	headEnd  = "\r\n\r\n"
	okHead   = "HTTP/1.1 200 OK\r\nServer: nginx/1.18.0\r\nContent-Type: application/json\r\nConnection: keep-alive\r\nContent-Length: "
	noMethod = "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 55\r\n\r\n" +
		`{"ok":false,"error_code":404,"description":"Not Found"}`
	isTrue   = `{"ok":true,"result":true}`
	me       = `{"ok":true,"result":{"id":1000000,"is_bot":true,"first_name":"Simulated","username":"` + Name + `","can_join_groups":true}}`
	updates  = `{"ok":true,"result":[`
	tail     = `]}`
	sentHead = `{"ok":true,"result":{"message_id":`
	sentTail = `,"from":{"id":1000000,"is_bot":true,"first_name":"Simulated","username":"` + Name + `"},"date":1800000000,"text":"…"}}`
)

// Write takes a request, or a piece of one.
func (c *conn) Write(text []byte) (int, error) {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if err := c.gone(); err != nil {
		return 0, err
	}
	c.request = append(c.request, text...)
	for {
		head, body, found := bytes.Cut(c.request, []byte(headEnd))
		if !found {
			return len(text), nil
		}
		length := int(number(head, "Content-Length: "))
		if len(body) < length {
			return len(text), nil
		}
		c.serve(head, body[:length])
		c.request = append(c.request[:0], body[length:]...)
		c.t.changed.Broadcast()
	}
}

// serve prepares the answer to one request.
func (c *conn) serve(head, body []byte) {
	line, _, _ := bytes.Cut(head, []byte(" HTTP/1.1"))
	switch method := line[bytes.LastIndexByte(line, '/')+1:]; string(method) {
	case "getUpdates":
		c.t.confirm(number(body, `"offset":`))
		c.limit = min(max(number(body, `"limit":`), 1), 100)
		if wait := number(body, `"timeout":`); c.t.offset > c.t.last && wait > 0 {
			c.hold(time.Duration(wait) * time.Second)
			return
		}
		c.batch()
	case "sendMessage":
		c.t.take(number(body, `"chat_id":`))
		if c.t.Sent != nil {
			c.t.Sent(body)
		}
		var digits [20]byte
		id := strconv.AppendInt(digits[:0], c.t.current, 10)
		c.answer(len(sentHead)+len(id)+len(sentTail), sentHead)
		c.left = append(append(c.left, id...), sentTail...)
		c.t.out = c.left
	case "sendChatAction", "deleteWebhook":
		c.answer(len(isTrue), isTrue)
	case "getMe":
		c.answer(len(me), me)
	default:
		c.left = append(c.t.out[:0], noMethod...)
	}
}

// answer makes an answer's head for a body of length bytes, and what the body begins with.
func (c *conn) answer(length int, begin string) {
	to := strconv.AppendInt(append(c.t.out[:0], okHead...), int64(length), 10)
	c.t.out = append(append(to, headEnd...), begin...)
	c.left = c.t.out
}

// batch answers a getUpdates with what there is. Each update is made twice, for the length and when it is read: a hundred
// of 4 KB would be most of the memory that is to be measured.
func (c *conn) batch() {
	c.waits = false
	c.next, c.end, c.tail = c.t.offset, min(c.t.offset+c.limit, c.t.last+1), tail
	length := len(updates) + len(tail)
	for id := c.next; id < c.end; id++ {
		c.t.out = c.t.appendUpdate(c.t.out[:0], id, id == c.next)
		length += len(c.t.out)
	}
	c.answer(length, updates)
}

func (t *Telegram) appendUpdate(to []byte, id int64, first bool) []byte {
	if !first {
		to = append(to, ',')
	}
	return appendUpdate(to, id, t.kind(id))
}

// hold lets a getUpdates wait, up to limit.
func (c *conn) hold(limit time.Duration) {
	c.waits = true
	if c.timer == nil {
		c.timer = time.AfterFunc(limit, c.pass)
		return
	}
	c.timer.Reset(limit)
}

// pass ends the waiting of a getUpdates with an empty answer.
func (c *conn) pass() {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if c.waits {
		c.batch()
		c.t.changed.Broadcast()
	}
}

// Read gives what there is of the answer; it waits where there is none.
func (c *conn) Read(to []byte) (int, error) {
	t := c.t
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		if err := c.gone(); err != nil {
			return 0, err
		}
		switch {
		case len(c.left) > 0:
			n := copy(to, c.left)
			c.left = c.left[n:]
			return n, nil
		case c.waits && t.offset <= t.last:
			c.timer.Stop()
			c.batch()
		case c.waits:
			t.changed.Wait()
		case c.next < c.end:
			t.out = t.appendUpdate(t.out[:0], c.next, c.next == t.offset)
			c.left = t.out
			c.next++
		case c.tail != "":
			t.out = append(t.out[:0], c.tail...)
			c.left, c.tail = t.out, ""
		default:
			t.changed.Wait()
		}
	}
}

func (c *conn) gone() error {
	switch {
	case c.closed:
		return net.ErrClosed
	case c.expired:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// SetDeadline ends what waits where the deadline is past, as the gateway's Interrupt sets it. A later one can't be met:
// every answer is there at once, or when the time of a getUpdates is over.
func (c *conn) SetDeadline(deadline time.Time) error {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	c.expired = !deadline.IsZero() && time.Until(deadline) <= 0
	c.t.changed.Broadcast()
	return nil
}

// Close ends the connection.
func (c *conn) Close() error {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	c.closed, c.waits = true, false
	if c.timer != nil {
		c.timer.Stop()
	}
	c.t.changed.Broadcast()
	return nil
}

func (c *conn) SetReadDeadline(deadline time.Time) error  { return c.SetDeadline(deadline) }
func (c *conn) SetWriteDeadline(deadline time.Time) error { return c.SetDeadline(deadline) }
func (c *conn) LocalAddr() net.Addr                       { return address{} }
func (c *conn) RemoteAddr() net.Addr                      { return address{} }

type address struct{}

func (address) Network() string { return "memory" }
func (address) String() string  { return "simulated" }

// number is what follows the first key in text, 0 where the key does not stand there.
func number(text []byte, key string) (value int64) {
	at := bytes.Index(text, []byte(key))
	if at < 0 {
		return 0
	}
	rest := text[at+len(key):]
	negative := len(rest) > 0 && rest[0] == '-'
	if negative {
		rest = rest[1:]
	}
	for _, digit := range rest {
		if digit < '0' || digit > '9' {
			break
		}
		value = value*10 + int64(digit-'0')
	}
	if negative {
		return -value
	}
	return value
}
