// Package telegram is the gateway's side of the Bot API (core.telegram.org/bots/api): long polling and replies.
//
// How bytes travel is package wire's; what a message is answered with is the handler's.
package telegram

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"slimdeploy/gateway/internal/jsonstream"
	"slimdeploy/gateway/internal/logline"
	"slimdeploy/gateway/internal/sizes"
	"slimdeploy/gateway/internal/wire"
)

const (
	// callTime bounds a call that does not wait for anything.
	callTime = 30 * time.Second

	maxText        = 64 << 10 // a text has at most 4,096 UTF-16 units, 3 bytes each; captions and the like are less
	maxDescription = 1 << 10
	maxName        = 256
)

// Bot calls the Bot API as the bot with one token. It is for one goroutine, but for Interrupt and TLS.
type Bot struct {
	client *wire.Client
	path   string // holds the token
	// What one call needs and the next one uses again.
	body    []byte
	method  []byte
	updates []Update
	texts   texts // of updates
	buffer  *bufio.Reader
	json    *jsonstream.Reader
	answer  reading
	// Made once.
	read   func(status int, content io.Reader) error // readAnswer
	update func(*jsonstream.Reader) error            // readUpdates
}

// reading is what has been read of an answer of the Bot API.
type reading struct {
	result   func(*jsonstream.Reader) error
	ok, came bool
	broken   bool // it was an answer of success, as far as it came
	failure  Failure
}

// NewBot makes a bot; nothing is sent yet.
func NewBot(endpoint wire.Endpoint, token string, config *tls.Config) *Bot {
	b := &Bot{client: wire.NewClient(endpoint, config), path: "/bot" + token + "/", buffer: bufio.NewReaderSize(nil, sizes.Shared)}
	b.updates = make([]Update, 0, 11) // of a size class in use: see sizes.Shared
	b.json = jsonstream.NewReader(b.buffer)
	b.read, b.update = b.readAnswer, b.readUpdates
	b.texts.bot, _ = strconv.ParseInt(b.number(), 10, 64) // it is one: config.TokenFault
	return b
}

// Through makes connections go through a proxy. It is called before the first call.
func (b *Bot) Through(proxy *wire.Proxy) { b.client.Proxy = proxy }

// Over makes connections with dial instead of TCP. It is called before the first call.
func (b *Bot) Over(dial func() (net.Conn, error)) { b.client.Dial = dial }

func (b *Bot) token() string {
	return strings.TrimSuffix(strings.TrimPrefix(b.path, "/bot"), "/")
}

// number is the bot's own, the public part of its token.
func (b *Bot) number() string {
	number, _, _ := strings.Cut(b.token(), ":")
	return number
}

// Interrupt ends the call that is under way, and every later one until Resume.
func (b *Bot) Interrupt() { b.client.Interrupt() }

// Resume lets calls be made again after an Interrupt.
func (b *Bot) Resume() { b.client.Resume() }

// Close ends the connection.
func (b *Bot) Close() { b.client.Close() }

// TLS is the protocol and cipher of the connection, empty without TLS.
func (b *Bot) TLS() (version, cipher string) { return b.client.TLS() }

// Name is the bot's user name, from getMe.
func (b *Bot) Name() (name string, err error) {
	err = b.call("getMe", []byte("{}"), callTime, func(r *jsonstream.Reader) error {
		return r.Object(func(key []byte) (err error) {
			if string(key) == "username" {
				name, err = r.String(maxDescription)
				return err
			}
			return r.Skip()
		})
	})
	return name, err
}

// DeleteWebhook makes getUpdates possible where a webhook was set; updates that wait are kept.
func (b *Bot) DeleteWebhook() error {
	return b.call("deleteWebhook", []byte("{}"), callTime, (*jsonstream.Reader).Skip)
}

// Updates confirms everything before offset and waits up to wait for the next messages.
//
// What it returns is valid until the next call.
func (b *Bot) Updates(offset int64, limit int, wait time.Duration) ([]Update, error) {
	body := append(b.body[:0], `{"offset":`...)
	body = strconv.AppendInt(body, offset, 10)
	body = append(body, `,"limit":`...)
	body = strconv.AppendInt(body, int64(limit), 10)
	body = append(body, `,"timeout":`...)
	body = strconv.AppendInt(body, int64(wait/time.Second), 10)
	body = append(body, `,"allowed_updates":["message"]}`...)
	b.body = body
	b.texts.reset(len(b.updates) == 0)
	b.updates = b.updates[:0]
	err := b.call("getUpdates", body, wait+callTime, b.update)
	return b.updates, err
}

func (b *Bot) readUpdates(r *jsonstream.Reader) error {
	return r.Array(func() error {
		update, err := readUpdate(r, &b.texts)
		b.updates = append(b.updates, update)
		return err
	})
}

// Outgoing is a message to be sent. HTML says that Text is Telegram's HTML; ReplyTo is 0 where it answers no message, and
// Topic where the chat has none.
type Outgoing struct {
	Chat    int64
	Topic   int64
	ReplyTo int64
	Text    string
	HTML    bool
}

// Send sends a message. An answer of success that breaks off is one: Telegram has the message, and would show it twice.
func (b *Bot) Send(message Outgoing) error {
	body := b.to(message.Chat, message.Topic)
	if message.ReplyTo != 0 {
		body = append(body, `,"reply_parameters":{"allow_sending_without_reply":true,"message_id":`...)
		body = strconv.AppendInt(body, message.ReplyTo, 10)
		body = append(body, '}')
	}
	if message.HTML {
		body = append(body, `,"parse_mode":"HTML"`...)
	}
	body = append(body, `,"text":`...)
	body = jsonstream.AppendString(body, message.Text)
	body = append(body, '}')
	b.body = kept(body, mostOutgoing)
	err := b.call("sendMessage", body, callTime, (*jsonstream.Reader).Skip)
	if err != nil && b.answer.broken {
		logline.Warn("a message was sent, but the answer broke off", "error", err.Error())
		return nil
	}
	return err
}

// Typing shows in a chat, or in a topic of it, that an answer is on its way: for five seconds or until it comes. The call
// itself takes no longer than limit.
func (b *Bot) Typing(chat, topic int64, limit time.Duration) error {
	b.body = append(b.to(chat, topic), `,"action":"typing"}`...)
	return b.call("sendChatAction", b.body, limit, (*jsonstream.Reader).Skip)
}

// to begins the body of a call that goes to a chat.
func (b *Bot) to(chat, topic int64) []byte {
	body := strconv.AppendInt(append(b.body[:0], `{"chat_id":`...), chat, 10)
	if topic != 0 {
		body = strconv.AppendInt(append(body, `,"message_thread_id":`...), topic, 10)
	}
	return body
}

// call makes one request and reads its answer: {"ok":…,"result":…} or {"ok":false,"error_code":…,"description":…}.
func (b *Bot) call(method string, body []byte, limit time.Duration, result func(*jsonstream.Reader) error) error {
	b.answer = reading{result: result}
	b.method = append(append(b.method[:0], b.path...), method...)
	return b.client.Post(b.method, body, limit, b.read)
}

func (b *Bot) readAnswer(status int, content io.Reader) error {
	a := &b.answer
	a.ok, a.came, a.broken, a.failure = false, false, false, Failure{Code: status}
	b.buffer.Reset(content)
	b.json.Reset(b.buffer)
	err := b.json.Object(b.readMember)
	b.buffer.Reset(nil)
	// The Bot API's status tells of success as "ok" does (core.telegram.org/bots/api, "Making requests"). A page that some
	// proxy gives with 200 is none of its answers.
	a.broken = status == 200 && (a.ok || (err != nil && !noJSON(err)))
	switch {
	case err != nil && status != 200 && noJSON(err):
		// A proxy's page, such as "502 Bad Gateway". What it says of the request or the token is not Telegram's word.
		return errors.New("no Bot API answered, but something with status " + strconv.Itoa(status))
	case err != nil:
		return &unreadable{err, cutShort(err, content)}
	case a.ok && a.came:
		return nil
	case a.ok:
		return &unreadable{errNoResult, false}
	}
	failure := a.failure
	failure.Description = strings.ReplaceAll(failure.Description, b.token(), "…") // a stand-in may repeat the path
	return &refusal{&failure}
}

func (b *Bot) readMember(key []byte) (err error) {
	a := &b.answer
	switch string(key) {
	case "ok":
		a.ok, err = b.json.Bool()
	case "result":
		a.came = true
		err = a.result(b.json)
	case "error_code":
		var code int64
		code, err = b.json.Int64()
		a.failure.Code = int(code)
	case "description":
		a.failure.Description, err = b.json.String(maxDescription)
	case "parameters":
		err = b.json.Object(b.readParameter)
	default:
		err = b.json.Skip()
	}
	return err
}

// readParameter reads one of those that say how to go on (core.telegram.org/bots/api, "ResponseParameters").
func (b *Bot) readParameter(key []byte) (err error) {
	a := &b.answer
	switch string(key) {
	case "retry_after":
		var seconds int64
		seconds, err = b.json.Int64()
		a.failure.RetryAfter = int(min(max(seconds, 0), 3600))
	case "migrate_to_chat_id":
		a.failure.MovedTo, err = b.json.Int64()
	default:
		err = b.json.Skip()
	}
	return err
}
