package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
)

const maxHead = 32 << 10

var (
	errHead  = errors.New("the server's answer is not HTTP/1.1")
	errLong  = errors.New("the head of the server's answer is too long")
	errChunk = errors.New("the body of the server's answer is broken")
)

// ErrLong is what reading a body ends with that is longer than any that the gateway asks for.
var ErrLong = errors.New("the body of the server's answer is too long")

// head is what the gateway needs to know of an answer before its body.
type head struct {
	status    int
	length    int64 // -1 where the body has no stated length
	chunked   bool
	keepAlive bool
}

// readHead reads the status line and the fields (RFC 9112, sections 4 and 5); interim answers (1xx) are passed over.
func readHead(in *bufio.Reader) (head, error) {
	read := 0
	line := func() ([]byte, error) { // valid until the next one
		text, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, errLong
		}
		if err != nil {
			return nil, unexpected(err)
		}
		if read += len(text); read > maxHead {
			return nil, errLong
		}
		return bytes.TrimRight(text, "\r\n"), nil
	}
	for {
		status, err := line()
		if err != nil {
			return head{}, err
		}
		version, rest, _ := bytes.Cut(status, space)
		old := string(version) == "HTTP/1.0"
		if (string(version) != "HTTP/1.1" && !old) || len(rest) < 3 || (len(rest) > 3 && rest[3] != ' ') {
			return head{}, errHead
		}
		code, ok := decimal(rest[:3])
		if !ok || code < 100 {
			return head{}, errHead
		}
		h := head{status: int(code), length: -1, keepAlive: !old}
		for {
			field, err := line()
			if err != nil {
				return head{}, err
			}
			if len(field) == 0 {
				break
			}
			if err := h.add(field); err != nil {
				return head{}, err
			}
		}
		if code >= 200 {
			if code == 204 || code == 304 {
				h.length, h.chunked = 0, false
			}
			if h.length < 0 && !h.chunked || h.chunked && old { // sections 6.3 and 6.1
				h.keepAlive = false
			}
			return h, nil
		}
	}
}

// The names of fields, in whatever case they come, and what separates them.
var (
	contentLength    = []byte("Content-Length")
	transferEncoding = []byte("Transfer-Encoding")
	connection       = []byte("Connection")
	codingChunked    = []byte("chunked")
	tokenClose       = []byte("close")
	tokenKeepAlive   = []byte("keep-alive")
	space, colon     = []byte(" "), []byte(":")
)

func (h *head) add(field []byte) error {
	name, value, found := bytes.Cut(field, colon)
	// White space in a name is a folded line or worse: what the server means can't be told (sections 5.1 and 5.2).
	if !found || bytes.ContainsAny(name, " \t") {
		return errHead
	}
	value = bytes.TrimSpace(value)
	switch {
	case bytes.EqualFold(name, contentLength):
		length, ok := decimal(value)
		if !ok || (h.length >= 0 && h.length != length) {
			return errHead
		}
		h.length = length
	case bytes.EqualFold(name, transferEncoding):
		if !bytes.EqualFold(value, codingChunked) {
			return errHead
		}
		h.chunked = true
	case bytes.EqualFold(name, connection):
		for len(value) > 0 {
			var token []byte
			token, value, _ = bytes.Cut(value, []byte(","))
			token = bytes.TrimSpace(token)
			if bytes.EqualFold(token, tokenClose) {
				h.keepAlive = false
			} else if bytes.EqualFold(token, tokenKeepAlive) {
				h.keepAlive = true
			}
		}
	}
	return nil
}

// decimal reads digits, and nothing else; false where there is none, or where they are too many.
func decimal(text []byte) (value int64, ok bool) {
	if len(text) == 0 || len(text) > 18 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		value = value*10 + int64(c-'0')
	}
	return value, true
}

// content holds the readers of one body at a time, so that they need not be made anew for each.
type content struct {
	bounded bounded
	exact   exact
	chunked chunked
}

// of is the content of an answer's body; a chunked one is unwrapped, and its coding wins over a stated length (section 6.3).
func (c *content) of(h head, in *bufio.Reader) *bounded {
	c.bounded = bounded{in: in, left: maxBody, framed: h.chunked || h.length >= 0}
	switch {
	case h.chunked:
		c.chunked = chunked{in: in}
		c.bounded.in = &c.chunked
	case h.length >= 0:
		c.exact = exact{in: in, left: h.length}
		c.bounded.in = &c.exact
	}
	return &c.bounded
}

// exact reads just left bytes; an end before that is a fault.
type exact struct {
	in   io.Reader
	left int64
}

func (e *exact) Read(to []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.in.Read(to[:min(int64(len(to)), e.left)])
	e.left -= int64(n)
	if err != nil && e.left > 0 {
		return n, unexpected(err)
	}
	return n, nil
}

// chunked unwraps the chunked transfer coding (RFC 9112, section 7.1); extensions and trailers are passed over.
type chunked struct {
	in    *bufio.Reader
	left  int64
	begun bool
	ended bool
}

func (c *chunked) Read(to []byte) (int, error) {
	for c.left == 0 {
		if c.ended {
			return 0, io.EOF
		}
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n, err := c.in.Read(to[:min(int64(len(to)), c.left)])
	c.left -= int64(n)
	return n, unexpected(err)
}

func (c *chunked) next() error {
	if c.begun {
		if line, err := c.line(); err != nil || line != "" {
			return broken(err)
		}
	}
	c.begun = true
	line, err := c.line()
	if err != nil {
		return err
	}
	size, _, _ := strings.Cut(line, ";")
	length, err := strconv.ParseUint(strings.TrimRight(size, " \t"), 16, 31)
	if err != nil {
		return errChunk
	}
	c.left = int64(length)
	for trailers := 0; length == 0; trailers++ {
		line, err := c.line()
		if err != nil || trailers > 64 {
			return broken(err)
		}
		if line == "" {
			c.ended = true
			break
		}
	}
	return nil
}

func (c *chunked) line() (string, error) {
	text, err := c.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", errChunk
	}
	if err != nil {
		return "", unexpected(err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

func broken(err error) error {
	if err == nil {
		return errChunk
	}
	return err
}

// bounded is a body that may not be longer than left bytes.
type bounded struct {
	in     io.Reader
	left   int64
	framed bool
}

// Framed tells whether the end of a body that Post hands out is certain, because its bytes were counted or came in chunks.
// Else the connection's end is the body's, and that of a torn connection looks the same (RFC 9112, section 6.3).
func Framed(body io.Reader) bool {
	b, ok := body.(*bounded)
	return ok && b.framed
}

func (b *bounded) Read(to []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrLong
	}
	n, err := b.in.Read(to[:min(int64(len(to)), b.left)])
	b.left -= int64(n)
	return n, err
}

// unexpected makes an end of the stream a fault where more had to come.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
