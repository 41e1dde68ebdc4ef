package telegram

import (
	"strings"

	"slimdeploy/gateway/internal/jsonstream"
)

// Update is what the gateway needs of one. Text is empty where it is no text message of a user.
type Update struct {
	ID      int64
	Message Message
}

// Message is a user's message. Its texts are valid until the next getUpdates: who needs one longer clones it.
type Message struct {
	ID       int64
	Chat     int64
	Topic    int64 // of a chat that has some (a forum), else 0
	From     int64
	Username string // without @, "" where the user has none
	Group    bool   // others read it too
	ToBot    bool   // it replies to a message of this bot
	Text     string
}

func readUpdate(r *jsonstream.Reader, texts *texts) (update Update, err error) {
	err = r.Object(func(key []byte) (err error) {
		switch string(key) {
		case "update_id":
			update.ID, err = r.Int64()
		case "message":
			err = update.Message.read(r, texts)
		default:
			err = r.Skip()
		}
		return err
	})
	return update, err
}

func (m *Message) read(r *jsonstream.Reader, texts *texts) error {
	var from sender
	var thread int64
	var inTopic bool
	err := r.Object(func(key []byte) (err error) {
		switch string(key) {
		case "message_id":
			m.ID, err = r.Int64()
		case "chat":
			err = m.readChat(r)
		case "message_thread_id": // a thread of replies has one too, in which nothing can be sent
			thread, err = r.Int64()
		case "is_topic_message":
			inTopic, err = r.Bool()
		case "from":
			err = from.read(r, texts)
		case "reply_to_message":
			var original sender
			err = r.Object(func(key []byte) error {
				if string(key) == "from" {
					return original.read(r, texts)
				}
				return r.Skip()
			})
			m.ToBot = original.bot && original.id == texts.bot
		case "text", "caption": // of a photo, a video, a file
			m.Text, err = texts.read(r, maxText)
		default:
			err = r.Skip()
		}
		return err
	})
	m.From, m.Username = from.id, from.username
	if inTopic {
		m.Topic = thread
	}
	if from.bot && from.id != anonymousAdmin && from.id != asChannel {
		m.Text = "" // two bots that answer each other would never end
	}
	return err
}

// The bots that Telegram names as senders where people write in the name of a group or a channel: "a fake sender user in
// non-channel chats" (core.telegram.org/bots/api, "Message", from).
const (
	anonymousAdmin = 1087968824 // @GroupAnonymousBot
	asChannel      = 136817688  // @Channel_Bot
)

func (m *Message) readChat(r *jsonstream.Reader) error {
	return r.Object(func(key []byte) (err error) {
		switch string(key) {
		case "id":
			m.Chat, err = r.Int64()
		case "type":
			var kind []byte
			kind, err = r.Bytes(maxName)
			m.Group = string(kind) != "private"
		default:
			err = r.Skip()
		}
		return err
	})
}

// sender is who wrote a message.
type sender struct {
	id       int64
	username string
	bot      bool
}

func (s *sender) read(r *jsonstream.Reader, texts *texts) error {
	return r.Object(func(key []byte) (err error) {
		switch string(key) {
		case "id":
			s.id, err = r.Int64()
		case "username":
			s.username, err = texts.read(r, maxName)
		case "is_bot":
			s.bot, err = r.Bool()
		default:
			err = r.Skip()
		}
		return err
	})
}

// forBot is the text without the mention of the bot. In a group it is for the bot where it is mentioned, where a message
// of its own is replied to, or where it is a command that names no other bot; false where it is not.
func (m *Message) forBot(bot string) (text string, ok bool) {
	if !m.Group {
		return m.Text, true
	}
	if strings.HasPrefix(m.Text, "/") {
		command := m.Text
		if end := strings.IndexAny(command, " \n"); end > 0 {
			command = command[:end]
		}
		_, addressee, named := strings.Cut(command, "@")
		return m.Text, !named || strings.EqualFold(addressee, bot)
	}
	if at := mention(m.Text, bot); at >= 0 {
		before, after := strings.TrimRight(m.Text[:at], " "), strings.TrimLeft(m.Text[at+1+len(bot):], " ,:")
		switch { // mostly one of the two is empty, and the text, which may be long, is not copied
		case before == "":
			text = after
		case after == "":
			text = before
		default:
			text = before + " " + after
		}
		text = strings.TrimSpace(text)
		return text, text != ""
	}
	return m.Text, m.ToBot
}

// mention finds @bot as a word of its own, in whatever case; -1 where it does not stand in text.
func mention(text, bot string) int {
	for at := 0; bot != ""; at++ {
		next := strings.IndexByte(text[at:], '@')
		if next < 0 {
			break
		}
		at += next
		end := at + 1 + len(bot)
		alone := (at == 0 || !inName(text[at-1])) && (end >= len(text) || !inName(text[end]))
		if end <= len(text) && alone && strings.EqualFold(text[at+1:end], bot) {
			return at
		}
	}
	return -1
}

func inName(c byte) bool {
	return c == '_' || ('0' <= c && c <= '9') || ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z')
}
