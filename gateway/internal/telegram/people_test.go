package telegram

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func message(chat int64, kind, from, text, more string) string {
	return fmt.Sprintf(`"message":{"message_id":%d,"chat":{"id":%d,"type":%q},"from":{"id":%s},"text":%q%s}`,
		chat+1000, chat, kind, from, text, more)
}

func TestInAGroupOnlyWhatIsMeantForTheBotIsAnswered(t *testing.T) {
	api := newBotAPI(t)
	for chat, text := range []string{
		"hello all", "@slim_bot are you there?", "hey @Slim_Bot, you", "@slim_botanist hello", "me@slim_bot", "/ping", "/ping@other_bot",
		"/ping@SLIM_BOT", "@slim_bot",
	} {
		api.put(message(int64(chat+1), "supergroup", "5", text, ""))
	}
	api.put(message(50, "group", "5", "as I said", `,"reply_to_message":{"message_id":3,"from":{"id":12345,"is_bot":true}}`))
	api.put(message(51, "group", "5", "not to you", `,"reply_to_message":{"message_id":3,"from":{"id":7,"is_bot":false}}`))
	api.put(message(53, "group", "5", "to another bot", `,"reply_to_message":{"message_id":3,"from":{"id":12346,"is_bot":true}}`))
	api.put(message(54, "supergroup", `1087968824,"is_bot":true`, "@slim_bot an administrator's", `,"sender_chat":{"id":54}`))
	api.put(message(55, "supergroup", `136817688,"is_bot":true`, "@slim_bot a channel's", `,"sender_chat":{"id":-100}`))
	api.put(message(56, "supergroup", `12346,"is_bot":true`, "@slim_bot another bot's", ""))
	api.put(strings.Replace(message(52, "private", "5", "a photo of the board", `,"photo":[{"file_id":"x"}]`), `"text"`, `"caption"`, 1))
	api.put(message(99, "private", "5", "last", ""))
	api.start()
	api.until("the last is answered", func() bool { sent := api.sent(); return len(sent) > 0 && sent[len(sent)-1] == "last" })
	wanted := []string{"are you there?", "hey you", "/ping", "/ping@SLIM_BOT", "as I said", "an administrator's", "a channel's",
		"a photo of the board", "last"}
	if got := api.sent(); strings.Join(got, "|") != strings.Join(wanted, "|") {
		t.Errorf("%q", got)
	}
	for _, c := range api.made("sendMessage") {
		if private := c.Chat == 99 || c.Chat == 52; private != (c.Reply.Message == 0) || (!private && c.Reply.Message != c.Chat+1000) {
			t.Errorf("chat %d: a reply to message %d", c.Chat, c.Reply.Message)
		}
	}
}

func TestStrangersAreRefusedOnceAndCounted(t *testing.T) {
	api := newBotAPI(t)
	api.put(message(1, "private", "666", "let me in", ""))
	api.put(message(1, "private", "666", "please", ""))
	api.put(message(2, "group", "666", "@slim_bot hello", ""))
	api.put(message(5, "supergroup", `1087968824,"is_bot":true,"username":"GroupAnonymousBot"`, "/ping", "")) // whoever that is
	api.put(message(3, "private", `7,"username":"Ann"`, "I am Ann", ""))
	api.put(message(4, "private", "42", "I am number 42", ""))
	g := api.start("42", "@ann")
	api.until("both friends are answered", func() bool { return len(api.sent()) >= 3 && g.Stats.Outbound.Load() >= 3 })
	sent := api.sent()
	if len(sent) != 3 || !strings.HasSuffix(sent[0], "Your number is 666.") || sent[1] != "I am Ann" || sent[2] != "I am number 42" {
		t.Errorf("%q", sent)
	}
	if refused, inbound := g.Stats.Refused.Load(), g.Stats.Inbound.Load(); refused != 4 || inbound != 2 {
		t.Errorf("%d refused, %d inbound", refused, inbound)
	}
}

func TestAStrangerIsToldAgainAfterAnHour(t *testing.T) {
	var r refusals
	now := time.Now()
	if !r.due(1, now) || r.due(1, now.Add(59*time.Minute)) || !r.due(1, now.Add(61*time.Minute)) || !r.due(2, now) {
		t.Error("not once an hour a chat")
	}
}

func TestAPicoclawEntryWithIdAndNameLetsBothIn(t *testing.T) {
	access := Access{"12|ann"}
	for _, m := range []Message{{From: 12}, {From: 9, Username: "Ann"}} {
		if !access.allows(&m) {
			t.Errorf("%+v is kept out", m)
		}
	}
	if access.allows(&Message{From: 9}) {
		t.Error("a stranger is let in")
	}
}

func TestMarkupThatTelegramRejectsIsSentAsItWasWritten(t *testing.T) {
	api := newBotAPI(t)
	api.refuse("sendMessage", failure(400, "Bad Request: can't parse entities: unsupported start tag"))
	g := api.start()
	g.Handle = func(m *Message, _ func()) Reply { return Reply{"**" + m.Text + "**", true} }
	api.write(1, "one")
	api.until("it is sent plain", func() bool { return len(api.made("sendMessage")) == 2 })
	api.write(1, "two")
	api.until("the next is marked up", func() bool { return len(api.made("sendMessage")) == 3 })
	made := api.made("sendMessage")
	if made[0].Mode != "HTML" || made[0].Text != "<b>one</b>" || made[1].Mode != "" || made[1].Text != "**one**" || made[2].Text != "<b>two</b>" {
		t.Errorf("%+v", made)
	}
}

func TestMarkupThatTelegramRejectsAtTheSecondTryIsSentAsItWasWritten(t *testing.T) {
	api := newBotAPI(t)
	api.refuse("sendMessage", status(429, `{"ok":false,"error_code":429,"description":"Too Many Requests"}`))
	api.refuse("sendMessage", failure(400, "Bad Request: can't parse entities: unsupported start tag"))
	api.write(1, "one")
	g := api.startWith(func(p *Poller) {
		p.Handle = func(m *Message, _ func()) Reply { return Reply{"**" + m.Text + "**", true} }
	})
	api.until("it is polled on", func() bool { return len(api.made("getUpdates")) == 2 })
	if sent := api.sent(); !slices.Equal(sent, []string{"<b>one</b>", "<b>one</b>", "**one**"}) || g.Stats.Outbound.Load() != 1 {
		t.Errorf("%q", sent)
	}
}

// Telegram takes no message without text: one that would be sent for nothing takes what stands behind it along.
func TestNoMessageIsSentWithoutText(t *testing.T) {
	for text, wanted := range map[string]string{
		"```\n```":             "```\n```",
		"```python\n\n```":     "```python\n\n```",
		"```go\n```\n~~~\n~~~": "```go\n```\n~~~\n~~~",
		"begin" + strings.Repeat(" ", 9000) + "end": "begin end",
	} {
		for _, markdown := range []bool{true, false} {
			api := newBotAPI(t)
			api.write(1, "x")
			g := api.startWith(func(p *Poller) {
				p.Handle = func(*Message, func()) Reply { return Reply{text, markdown} }
			})
			api.until("it is polled on", func() bool { return len(api.made("getUpdates")) == 2 })
			sent := api.sent()
			for i := range sent {
				if sent[i] = strings.TrimSpace(sent[i]); sent[i] == "" {
					t.Errorf("%.20q: message %d has no text", text, i)
				}
			}
			if got := strings.Join(sent, " "); got != wanted || g.Stats.Outbound.Load() != 1 {
				t.Errorf("%.20q: %.40q", text, got)
			}
		}
	}
}

func TestALongReplyIsSentInPieces(t *testing.T) {
	api := newBotAPI(t)
	g := api.start()
	long := strings.TrimSpace(strings.Repeat("Some words 🙂. ", 1000))
	g.Handle = func(*Message, func()) Reply { return Reply{long, true} }
	api.write(1, "tell me")
	api.until("all is sent", func() bool { return g.Stats.Outbound.Load() == 1 })
	sent := api.sent()
	if len(sent) < 4 || strings.Count(strings.Join(sent, " "), "words") != 1000 {
		t.Errorf("%d pieces with %d words", len(sent), strings.Count(strings.Join(sent, " "), "words"))
	}
}

func TestTypingIsShownWhereAnAnswerTakesTime(t *testing.T) {
	api := newBotAPI(t)
	g := api.start()
	g.Handle = func(m *Message, typing func()) Reply { typing(); return Reply{Text: m.Text} }
	api.write(5, "think")
	api.until("it is answered", func() bool { return len(api.sent()) == 1 })
	if made := api.made("sendChatAction"); len(made) != 1 || made[0].Chat != 5 || made[0].Action != "typing" {
		t.Errorf("%+v", made)
	}
}
