// Package jsonstream reads JSON (RFC 8259) from a stream, one value after the other, with bounds on depth and length.
//
// It exists because encoding/json links reflection that the gateway does not need, and holds a whole document in memory.
// What the values mean is the callers' business.
package jsonstream

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"unicode/utf8"
)

const (
	// MaxDepth is how deep objects and arrays may be nested; the Bot API's updates stay below ten.
	MaxDepth = 64
	// MaxKey is the longest key in bytes.
	MaxKey = 1024
)

// SyntaxError says where a document stops being JSON, or being what was asked for. Line and Column count from 1, the columns
// in characters.
type SyntaxError struct {
	Line, Column int
	Problem      string
	Early        bool // the document ends where more had to come
}

func (e *SyntaxError) Error() string {
	return "line " + strconv.Itoa(e.Line) + ", column " + strconv.Itoa(e.Column) + ": " + e.Problem
}

// Reader reads one document. Its methods read the next value, whatever stands before it in white space.
type Reader struct {
	in           *bufio.Reader
	line, column int
	depth        int
	ahead        int // the byte that was looked at and not consumed, or -1
	// What one value needs and the next one uses again.
	scratch []byte
	piece   [utf8.UTFMax]byte
}

// NewReader reads from in.
func NewReader(in *bufio.Reader) *Reader {
	return &Reader{in: in, line: 1, ahead: -1}
}

// Reset makes the reader read another document from in.
func (r *Reader) Reset(in *bufio.Reader) {
	r.in, r.line, r.column, r.depth, r.ahead = in, 1, 0, 0, -1
}

// Position is where the next character stands, counted from 1.
func (r *Reader) Position() (line, column int) {
	return r.line, r.column + 1
}

// Fault is a SyntaxError at the present position.
func (r *Reader) Fault(problem string) error {
	return &SyntaxError{Line: r.line, Column: r.column + 1, Problem: problem}
}

func (r *Reader) look() (byte, error) {
	if r.ahead >= 0 {
		return byte(r.ahead), nil
	}
	c, err := r.in.ReadByte()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return 0, &SyntaxError{Line: r.line, Column: r.column + 1, Problem: "the document ends too early", Early: true}
		}
		return 0, err
	}
	r.ahead = int(c)
	return c, nil
}

func (r *Reader) next() (byte, error) {
	c, err := r.look()
	if err != nil {
		return 0, err
	}
	r.ahead = -1
	if c == '\n' {
		r.line++
		r.column = 0
	} else if c&0xC0 != 0x80 { // of the bytes of a character the first one counts
		r.column++
	}
	return c, nil
}

// first is the first byte of the next value; it is not consumed.
func (r *Reader) first() (byte, error) {
	for {
		c, err := r.look()
		if err != nil {
			return 0, err
		}
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c, nil
		}
		if _, err := r.next(); err != nil {
			return 0, err
		}
	}
}

func (r *Reader) expect(wanted byte, problem string) error {
	c, err := r.first()
	if err != nil {
		return err
	}
	if c != wanted {
		return r.Fault(problem)
	}
	_, err = r.next()
	return err
}

func (r *Reader) enter(opening byte, problem string) error {
	if err := r.expect(opening, problem); err != nil {
		return err
	}
	if r.depth++; r.depth > MaxDepth {
		return r.Fault("it is nested too deep")
	}
	return nil
}

// more reads what stands after an element: true after a comma, false after the closing bracket.
func (r *Reader) more(closing byte) (bool, error) {
	c, err := r.first()
	if err != nil {
		return false, err
	}
	if c != ',' && c != closing {
		return false, r.Fault("a comma or " + string(rune(closing)) + " is missing")
	}
	if _, err := r.next(); err != nil {
		return false, err
	}
	if c == closing {
		r.depth--
		return false, nil
	}
	return true, nil
}

// empty consumes closing where it stands next.
func (r *Reader) empty(closing byte) (bool, error) {
	c, err := r.first()
	if err != nil || c != closing {
		return false, err
	}
	r.depth--
	_, err = r.next()
	return true, err
}

// Object reads an object; member is called with each key, which is valid until its value is read, and has to read just that.
func (r *Reader) Object(member func(key []byte) error) error {
	if err := r.enter('{', "an object in { } is expected"); err != nil {
		return err
	}
	if done, err := r.empty('}'); done || err != nil {
		return err
	}
	for {
		if c, err := r.first(); err != nil {
			return err
		} else if c != '"' {
			return r.Fault("a key in double quotes is expected")
		}
		key, err := r.Bytes(MaxKey)
		if err != nil {
			return err
		}
		if err := r.expect(':', "a colon is missing after the key"); err != nil {
			return err
		}
		if err := member(key); err != nil {
			return err
		}
		if again, err := r.more('}'); !again {
			return err
		}
	}
}

// Array reads an array; element is called before each of its values and has to read just that.
func (r *Reader) Array(element func() error) error {
	if err := r.enter('[', "an array in [ ] is expected"); err != nil {
		return err
	}
	if done, err := r.empty(']'); done || err != nil {
		return err
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if again, err := r.more(']'); !again {
			return err
		}
	}
}

// Bool reads true or false.
func (r *Reader) Bool() (bool, error) {
	c, err := r.first()
	if err != nil {
		return false, err
	}
	switch c {
	case 't':
		return true, r.word("true")
	case 'f':
		return false, r.word("false")
	}
	return false, r.Fault("true or false is expected")
}

func (r *Reader) word(word string) error {
	for i := range len(word) {
		c, err := r.next()
		if err != nil {
			return err
		}
		if c != word[i] {
			return r.Fault(word + " is expected")
		}
	}
	return nil
}

// Null consumes null where it stands next; false where something else does.
func (r *Reader) Null() (bool, error) {
	c, err := r.first()
	if err != nil || c != 'n' {
		return false, err
	}
	return true, r.word("null")
}

// Skip reads the next value, whatever it is, and forgets it.
func (r *Reader) Skip() error {
	c, err := r.first()
	if err != nil {
		return err
	}
	switch c {
	case '{':
		return r.Object(r.skipMember)
	case '[':
		return r.Array(r.Skip)
	case '"':
		return r.skipString()
	case 't', 'f':
		_, err := r.Bool()
		return err
	case 'n':
		_, err := r.Null()
		return err
	}
	_, err = r.number()
	return err
}

func (r *Reader) skipMember([]byte) error { return r.Skip() }

// End makes sure that nothing but white space follows.
func (r *Reader) End() error {
	_, err := r.first()
	var early *SyntaxError
	if errors.As(err, &early) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.Fault("something stands after the end of the document")
}
