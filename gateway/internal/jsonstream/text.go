package jsonstream

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

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

// Prefix reads a string and keeps its first bytes, at most limit and whole characters; cut says that there were more.
func (r *Reader) Prefix(to []byte, limit int) (text []byte, cut bool, err error) {
	start := len(to)
	err = r.characters(func(piece []byte) error {
		if cut = cut || len(to)-start+len(piece) > limit; !cut {
			to = append(to, piece...)
		}
		return nil
	})
	if cut && len(to) > start {
		if tail := lastRune(to[start:]); !utf8.FullRune(tail) {
			to = to[:len(to)-len(tail)]
		}
	}
	return to, cut, err
}

// lastRune is what begins with the last byte that can begin a character.
func lastRune(text []byte) []byte {
	at := len(text) - 1
	for at > 0 && len(text)-at < utf8.UTFMax && !utf8.RuneStart(text[at]) {
		at--
	}
	return text[at:]
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
