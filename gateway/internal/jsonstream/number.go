package jsonstream

import (
	"errors"
	"strconv"
	"strings"
)

const maxNumber = 64

// Int64 reads a whole number.
func (r *Reader) Int64() (int64, error) {
	text, err := r.number()
	if err != nil {
		return 0, err
	}
	value, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return 0, r.Fault("a whole number is expected")
	}
	return value, nil
}

// Number reads a number as it is written.
func (r *Reader) Number() (string, error) {
	text, err := r.number()
	return string(text), err
}

// number is valid until the next value is read.
func (r *Reader) number() ([]byte, error) {
	if c, err := r.first(); err != nil {
		return nil, err
	} else if c != '-' && (c < '0' || c > '9') {
		return nil, r.Fault("a number is expected")
	}
	text := r.scratch[:0]
	for {
		c, err := r.look()
		if err != nil {
			var early *SyntaxError
			if errors.As(err, &early) {
				break // a number may be the last thing in a document
			}
			return nil, err
		}
		if !strings.ContainsRune("+-.eE0123456789", rune(c)) {
			break
		}
		if len(text) == maxNumber {
			return nil, r.Fault("the number is too long")
		}
		text = append(text, c)
		if _, err := r.next(); err != nil {
			return nil, err
		}
	}
	if !isNumber(text) {
		return nil, r.Fault("this is no number")
	}
	r.scratch = text
	return text, nil
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
