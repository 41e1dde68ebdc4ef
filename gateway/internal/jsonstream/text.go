package jsonstream

import (
	"errors"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// String reads a string of at most limit bytes as UTF-8; what is not UTF-8 becomes U+FFFD.
func (r *Reader) String(limit int) (string, error) {
	text, err := r.Bytes(limit)
	return string(text), err
}

// Bytes reads a string as String does; what it returns is valid until the next value is read.
func (r *Reader) Bytes(limit int) ([]byte, error) {
	text, err := r.Append(r.scratch[:0], limit)
	if cap(text) <= 1024 {
		r.scratch = text
	}
	if err != nil {
		return nil, err
	}
	return text, nil
}

// Append reads a string of at most limit bytes as String does, and appends it to to. Where it fails, to has what it had.
func (r *Reader) Append(to []byte, limit int) ([]byte, error) {
	start := len(to)
	text, err := r.append(to, limit)
	if err != nil {
		return to, err
	}
	if own := text[start:]; !utf8.Valid(own) { // one U+FFFD for each byte that belongs to no character, as encoding/json does it
		return append(text[:start], string([]rune(string(own)))...), nil
	}
	return text, nil
}

// append reads a string as it comes.
func (r *Reader) append(to []byte, limit int) (text []byte, err error) {
	text = to
	if err := r.begin(); err != nil {
		return nil, err
	}
	for {
		piece, err := r.character()
		if err != nil {
			return nil, err
		}
		if len(piece) == 0 {
			return text, nil
		}
		if len(text)-len(to)+len(piece) > limit {
			return nil, r.Fault("the string is longer than " + strconv.Itoa(limit) + " bytes")
		}
		text = append(text, piece...)
	}
}

// Prefix reads a string and keeps its first bytes, at most limit and whole characters; cut says that there were more.
func (r *Reader) Prefix(to []byte, limit int) (text []byte, cut bool, err error) {
	start := len(to)
	if err := r.begin(); err != nil {
		return to, false, err
	}
	for {
		piece, fault := r.character()
		if fault != nil {
			err = fault
			break
		}
		if len(piece) == 0 {
			break
		}
		if cut = cut || len(to)-start+len(piece) > limit; !cut {
			to = append(to, piece...)
		}
	}
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

// skipString reads a string and forgets it.
func (r *Reader) skipString() error {
	if err := r.begin(); err != nil {
		return err
	}
	for {
		if piece, err := r.character(); err != nil || len(piece) == 0 {
			return err
		}
	}
}

func (r *Reader) begin() error {
	return r.expect('"', "a string in double quotes is expected")
}

// character reads what comes next in a string, unescaped: one byte, or a whole character; nothing at its end.
// It is valid until the next one.
func (r *Reader) character() ([]byte, error) {
	c, err := r.next()
	if err != nil {
		return nil, err
	}
	switch {
	case c == '"':
		return nil, nil
	case c < ' ':
		return nil, r.Fault("a control character stands in a string")
	case c == '\\':
		character, err := r.escape()
		if err != nil {
			return nil, err
		}
		return r.piece[:utf8.EncodeRune(r.piece[:], character)], nil
	}
	r.piece[0] = c
	return r.piece[:1], nil
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
