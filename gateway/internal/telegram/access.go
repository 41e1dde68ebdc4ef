package telegram

import (
	"strconv"
	"strings"
	"time"
)

// Access says whose messages are answered: users by their id or their username, in whatever case and with or without @.
// An empty list lets everybody in, as in PicoClaw.
type Access []string

// allows tells whether the message's sender is let in.
func (a Access) allows(m *Message) bool {
	if len(a) == 0 {
		return true
	}
	for _, entry := range a {
		entry = strings.TrimPrefix(entry, "@")
		// PicoClaw itself also writes "id|username".
		id, name, both := strings.Cut(entry, "|")
		if isID(id, m.From) || (m.Username != "" && (strings.EqualFold(entry, m.Username) || (both && strings.EqualFold(name, m.Username)))) {
			return true
		}
	}
	return false
}

func isID(text string, id int64) bool {
	number, err := strconv.ParseInt(text, 10, 64)
	return err == nil && number == id
}

// refusals remembers to whom it was said lately that they are not let in: once an hour is enough.
type refusals struct {
	last [16]struct {
		chat int64
		at   time.Time
	}
	next int
}

const refusalTime = time.Hour

// due tells whether chat is to be told, and remembers that it is.
func (r *refusals) due(chat int64, now time.Time) bool {
	for _, told := range r.last {
		if told.chat == chat && !told.at.IsZero() && now.Sub(told.at) < refusalTime {
			return false
		}
	}
	r.last[r.next].chat, r.last[r.next].at = chat, now
	r.next = (r.next + 1) % len(r.last)
	return true
}

const refusalText = "This bot answers only to people whom its owner has let in. Your number is "
