package telegram

import (
	"errors"
	"io"
	"strconv"

	"slimdeploy/gateway/internal/jsonstream"
	"slimdeploy/gateway/internal/wire"
)

// Failure is an answer of the Bot API that is not "ok". RetryAfter is in seconds, 0 where the API named none. MovedTo is the
// supergroup that a group has become, 0 where it is still a group.
type Failure struct {
	Code        int
	Description string
	RetryAfter  int
	MovedTo     int64
}

func (f *Failure) Error() string {
	return "the Bot API answered " + strconv.Itoa(f.Code) + ": " + f.Description
}

func noJSON(err error) bool {
	var fault *jsonstream.SyntaxError
	return errors.As(err, &fault)
}

// cutShort tells whether err may come of a connection that ended before its time, and so says nothing of the answer.
func cutShort(err error, content io.Reader) bool {
	var fault *jsonstream.SyntaxError
	if errors.As(err, &fault) {
		return fault.Early && !wire.Framed(content)
	}
	return !errors.Is(err, wire.ErrLong)
}

// unreadable says why an answer is not what the Bot API's documentation says.
type unreadable struct {
	err  error
	torn bool // it may be for the connection alone
}

func (u *unreadable) Error() string { return "the Bot API's answer can't be read: " + u.err.Error() }

func (u *unreadable) Unwrap() error { return u.err }

var errNoResult = errors.New("it holds no result")

// refusal carries a Failure through package wire, which drops the connection after an error. The API's own refusals end
// with a whole answer, but they are rare enough for a new connection.
type refusal struct{ *Failure }

func (r *refusal) Unwrap() error { return r.Failure }
