package openai

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"slimdeploy/gateway/internal/jsonstream"
	"slimdeploy/gateway/internal/wire"
)

var (
	errEnough = errors.New("enough was read")
	errEmpty  = errors.New("the answer is empty")
	errStream = errors.New("the answer can't be read")
)

const (
	readBuffer = 1024
	maxMessage = 1 << 10
)

// Failure is what the endpoint answers where it gives no answer. Message is its own, for the log.
type Failure struct {
	Status  int
	Message string
}

func (f *Failure) Error() string {
	return "the endpoint answered " + strconv.Itoa(f.Status) + ": " + f.Message
}

// tooLong tells whether the conversation has grown longer than the model takes.
func (f *Failure) tooLong() bool {
	return f.Status == 400 && (strings.Contains(f.Message, "context") || strings.Contains(f.Message, "too long"))
}

// said is what has come of an answer so far.
type said struct {
	text     string
	cut      bool
	broken   error
	filtered bool
	ended    bool // what came says that no more has to come
}

// read reads an answer: a stream of server-sent events (html.spec.whatwg.org, "Server-sent events"), or one JSON document
// from servers that don't stream, or an error.
func (s *said) read(status int, body io.Reader) error {
	in := bufio.NewReaderSize(body, readBuffer)
	var text []byte
	failure := &Failure{Status: status}
	err := s.events(in, &text, failure)
	if err == nil && len(text) > 0 && !s.ended && !wire.Framed(body) {
		err = io.ErrUnexpectedEOF // as far as can be told, only the connection has ended
	}
	s.text = strings.TrimSpace(string(text))
	var noJSON *jsonstream.SyntaxError
	switch {
	case status != 200 || failure.Message != "":
		if failure.Message == "" {
			failure.Message = "no JSON" // a proxy's page
		}
		return failure
	case errors.As(err, &noJSON):
		return errors.Join(errStream, err)
	case err == nil && s.filtered && s.text == "":
		return &Failure{Status: status, Message: "content_filter"}
	}
	return err
}

func (s *said) events(in *bufio.Reader, text *[]byte, failure *Failure) error {
	for {
		first, err := in.Peek(1)
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		switch first[0] {
		case '\n', '\r', ' ':
			in.Discard(1)
			continue
		case '{':
			s.ended = true // a document is whole, or is none
			return s.document(jsonstream.NewReader(in), text, failure)
		}
		field, err := in.Peek(len("data:"))
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if !bytes.Equal(field, []byte("data:")) {
			if failure.Status != 200 {
				return nil // an error's page, of which nothing is wanted
			}
			// A comment that keeps the connection alive, or another field.
			if err := skipLine(in); err != nil {
				return err
			}
			continue
		}
		in.Discard(len(field))
		for {
			if first, err = in.Peek(1); err != nil || first[0] != ' ' {
				break
			}
			in.Discard(1)
		}
		if err != nil {
			return err
		}
		if first[0] == '\n' || first[0] == '\r' { // an empty event, as some servers send to keep the connection alive
			continue
		}
		if first[0] == '[' { // data: [DONE]
			s.ended = true
			return skipLine(in)
		}
		if err := s.document(jsonstream.NewReader(in), text, failure); err != nil {
			return err
		}
		if s.cut {
			return errEnough
		}
		if err := skipLine(in); err != nil {
			return err
		}
	}
}

func skipLine(in *bufio.Reader) error {
	for {
		_, err := in.ReadSlice('\n')
		if err == nil || errors.Is(err, io.EOF) {
			return nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// document reads {"choices":[{"delta":{"content":…}}]}, the same with "message", or {"error":{"message":…}}.
func (s *said) document(r *jsonstream.Reader, text *[]byte, failure *Failure) error {
	return r.Object(func(key []byte) error {
		switch string(key) {
		case "choices":
			first := true
			return r.Array(func() error {
				if !first {
					return r.Skip()
				}
				first = false
				return s.choice(r, text)
			})
		case "error":
			return readError(r, failure)
		}
		return r.Skip()
	})
}

func (s *said) choice(r *jsonstream.Reader, text *[]byte) error {
	return r.Object(func(key []byte) error {
		if null, err := r.Null(); null || err != nil {
			return err
		}
		switch string(key) {
		case "delta", "message":
			return r.Object(func(key []byte) error {
				if string(key) != "content" {
					return r.Skip()
				}
				if null, err := r.Null(); null || err != nil {
					return err
				}
				var err error
				var cut bool
				*text, cut, err = r.Prefix(*text, MaxAnswer-len(*text))
				s.cut = s.cut || cut
				return err
			})
		case "finish_reason":
			reason, err := r.String(maxMessage)
			s.cut = s.cut || reason == "length"
			s.ended = s.ended || reason != ""
			s.filtered = s.filtered || reason == "content_filter"
			return err
		}
		return r.Skip()
	})
}

// readError reads an error: an object with a message, as OpenAI's, or a text, as some others'.
func readError(r *jsonstream.Reader, failure *Failure) error {
	if null, err := r.Null(); null || err != nil {
		return err
	}
	if text, err := r.String(maxMessage); err == nil {
		failure.Message = text
		return nil
	}
	failure.Message = "an error"
	return r.Object(func(key []byte) error {
		if string(key) != "message" {
			return r.Skip()
		}
		text, _, err := r.Prefix(nil, maxMessage)
		failure.Message = string(text)
		return err
	})
}
