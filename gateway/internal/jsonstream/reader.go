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
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// MaxDepth is how deep objects and arrays may be nested; the Bot API's updates stay below ten.
	MaxDepth = 64
	// MaxKey is the longest key in bytes.
	MaxKey = 1024

	maxNumber = 64
)

// SyntaxError says where a document stops being JSON, or being what was asked for. Line and Column count from 1.
type SyntaxError struct {
	Line, Column int
	Problem      string
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
	scratch      []byte
}

// NewReader reads from in.
func NewReader(in *bufio.Reader) *Reader {
	return &Reader{in: in, line: 1, ahead: -1}
}

// Position is where the next byte stands, counted from 1.
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
			return 0, r.Fault("the document ends too early")
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
	} else {
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

// Object reads an object; member is called with each key and has to read just its value.
func (r *Reader) Object(member func(key string) error) error {
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
		key, err := r.String(MaxKey)
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

// String reads a string of at most limit bytes as UTF-8; what is not UTF-8 becomes U+FFFD.
func (r *Reader) String(limit int) (string, error) {
	text := r.scratch[:0]
	err := r.characters(func(piece []byte) error {
		if len(text)+len(piece) > limit {
			return r.Fault("the string is longer than " + strconv.Itoa(limit) + " bytes")
		}
		text = append(text, piece...)
		return nil
	})
	if cap(text) <= 1024 {
		r.scratch = text
	}
	if err != nil {
		return "", err
	}
	if utf8.Valid(text) {
		return string(text), nil
	}
	// As encoding/json does it: one U+FFFD for each byte that belongs to no character.
	var valid strings.Builder
	for _, character := range string(text) {
		valid.WriteRune(character)
	}
	return valid.String(), nil
}

// characters reads a string and hands out its bytes, unescaped, in pieces.
func (r *Reader) characters(take func(piece []byte) error) error {
	if err := r.expect('"', "a string in double quotes is expected"); err != nil {
		return err
	}
	var piece [utf8.UTFMax]byte
	for {
		c, err := r.next()
		if err != nil {
			return err
		}
		switch {
		case c == '"':
			return nil
		case c < ' ':
			return r.Fault("a control character stands in a string")
		case c == '\\':
			character, err := r.escape()
			if err != nil {
				return err
			}
			if err := take(piece[:utf8.EncodeRune(piece[:], character)]); err != nil {
				return err
			}
		default:
			piece[0] = c
			if err := take(piece[:1]); err != nil {
				return err
			}
		}
	}
}

func (r *Reader) escape() (rune, error) {
	c, err := r.next()
	if err != nil {
		return 0, err
	}
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return r.unicode()
	}
	return 0, r.Fault("there is no such escape in a string")
}

// unicode reads what follows \u, and the second half of a surrogate pair (RFC 8259, section 7).
func (r *Reader) unicode() (rune, error) {
	first, err := r.hex4()
	if err != nil || !utf16.IsSurrogate(first) {
		return first, err
	}
	if first >= 0xDC00 {
		return utf8.RuneError, nil
	}
	if c, err := r.look(); err != nil || c != '\\' {
		return utf8.RuneError, err
	}
	// A backslash after a lone surrogate may begin any escape; only \u can complete the pair.
	following, err := r.in.Peek(1)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if len(following) == 0 || following[0] != 'u' {
		return utf8.RuneError, nil
	}
	hex, err := r.in.Peek(5)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	second, ok := parseHex4(hex[1:])
	if !ok || second < 0xDC00 || second > 0xDFFF {
		return utf8.RuneError, nil // what follows is a character of its own, or a fault of its own
	}
	for range 6 {
		if _, err := r.next(); err != nil {
			return 0, err
		}
	}
	return utf16.DecodeRune(first, second), nil
}

func (r *Reader) hex4() (rune, error) {
	var digits [4]byte
	for i := range digits {
		c, err := r.next()
		if err != nil {
			return 0, err
		}
		digits[i] = c
	}
	value, ok := parseHex4(digits[:])
	if !ok {
		return 0, r.Fault("four hexadecimal digits have to follow \\u")
	}
	return value, nil
}

func parseHex4(digits []byte) (rune, bool) {
	if len(digits) < 4 {
		return 0, false
	}
	var value rune
	for _, c := range digits[:4] {
		switch {
		case '0' <= c && c <= '9':
			value = value<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			value = value<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			value = value<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return value, true
}

// Int64 reads a whole number.
func (r *Reader) Int64() (int64, error) {
	text, err := r.number()
	if err != nil {
		return 0, err
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, r.Fault("a whole number is expected")
	}
	return value, nil
}

func (r *Reader) number() (string, error) {
	if c, err := r.first(); err != nil {
		return "", err
	} else if c != '-' && (c < '0' || c > '9') {
		return "", r.Fault("a number is expected")
	}
	text := make([]byte, 0, 20)
	for {
		c, err := r.look()
		if err != nil {
			var early *SyntaxError
			if errors.As(err, &early) {
				break // a number may be the last thing in a document
			}
			return "", err
		}
		if !strings.ContainsRune("+-.eE0123456789", rune(c)) {
			break
		}
		if len(text) == maxNumber {
			return "", r.Fault("the number is too long")
		}
		text = append(text, c)
		if _, err := r.next(); err != nil {
			return "", err
		}
	}
	if !isNumber(text) {
		return "", r.Fault("this is no number")
	}
	return string(text), nil
}

// isNumber holds text against the grammar of RFC 8259, section 6.
func isNumber(text []byte) bool {
	digits := func() bool {
		start := len(text)
		for len(text) > 0 && '0' <= text[0] && text[0] <= '9' {
			text = text[1:]
		}
		return len(text) < start
	}
	if len(text) > 0 && text[0] == '-' {
		text = text[1:]
	}
	if len(text) > 0 && text[0] == '0' {
		text = text[1:]
	} else if !digits() {
		return false
	}
	if len(text) > 0 && text[0] == '.' {
		if text = text[1:]; !digits() {
			return false
		}
	}
	if len(text) > 0 && (text[0] == 'e' || text[0] == 'E') {
		if text = text[1:]; len(text) > 0 && (text[0] == '+' || text[0] == '-') {
			text = text[1:]
		}
		if !digits() {
			return false
		}
	}
	return len(text) == 0
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
		return r.Object(func(string) error { return r.Skip() })
	case '[':
		return r.Array(r.Skip)
	case '"':
		return r.characters(func([]byte) error { return nil })
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
