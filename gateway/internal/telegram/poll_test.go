package telegram

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"slimdeploy/gateway/internal/sizes"
)

func TestMessagesAreAnsweredOnceAndInOrder(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	var wanted []string
	const messages = 2*sizes.Updates + 5 // more than one getUpdates brings
	for i := range messages {
		text := fmt.Sprint("message ", i)
		wanted = append(wanted, text)
		if i < messages/2 {
			api.write(int64(i), text)
		}
	}
	g := api.start()
	for i := messages / 2; i < messages; i++ {
		api.write(int64(i), wanted[i])
	}
	api.until("all are answered", func() bool { return len(api.sent()) >= messages })
	g.end()
	if sent := api.sent(); !slices.Equal(sent, wanted) {
		t.Errorf("%q", sent)
	}
	for i, c := range api.made("sendMessage") {
		if c.Chat != int64(i) {
			t.Errorf("reply %d went to chat %d", i, c.Chat)
		}
	}
	if g.Stats.Inbound.Load() != messages || g.Stats.Outbound.Load() != messages || g.Stats.Errors.Load() != 0 {
		t.Error(g.Stats.Inbound.Load(), g.Stats.Outbound.Load(), g.Stats.Errors.Load())
	}
	again := api.start() // a restart finds nothing left to do
	api.until("the second poller waits", func() bool { return again.Stats.Ready() })
	again.end()
	if sent := api.sent(); len(sent) != messages {
		t.Errorf("after a restart %d more replies came", len(sent)-messages)
	}
}

func TestOnlyTextOfUsersIsAnswered(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	const chat = `"chat":{"id":9}`
	for _, members := range []string{
		`"message":{` + chat + `,"from":{"id":1,"is_bot":true},"text":"from a bot"}`,
		`"message":{` + chat + `,"text":"from a bot, said late","from":{"is_bot":true,"id":1}}`,
		`"message":{` + chat + `,"from":{"is_bot":false},"photo":[{"file_id":"x"}]}`,
		`"message":{` + chat + `,"from":{"is_bot":true},"photo":[{"file_id":"x"}],"caption":"from a bot"}`,
		`"message":{` + chat + `,"from":{"is_bot":false},"reply_to_message":{"text":"an old text","chat":{"id":8}},"sticker":{}}`,
		`"message":{` + chat + `,"text":""}`,
		`"edited_message":{` + chat + `,"text":"edited"}`,
		`"callback_query":{"id":"7","message":{` + chat + `,"text":"a button's"}}`,
		`"my_chat_member":{` + chat + `}`,
	} {
		api.put(members)
	}
	api.write(9, "the only one")
	g := api.start()
	api.until("an answer is sent", func() bool { return len(api.sent()) > 0 })
	g.end()
	if sent := api.sent(); !slices.Equal(sent, []string{"the only one"}) {
		t.Errorf("%q", sent)
	}
	if len(api.waiting) != 0 {
		t.Errorf("%d updates are not confirmed", len(api.waiting))
	}
	if g.Stats.Inbound.Load() != 1 {
		t.Error(g.Stats.Inbound.Load())
	}
}

func TestATextArrivesAsItWasWritten(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	texts := map[string]string{ // and how they are written in JSON
		"🙂 and 👩‍👩‍👧":                             `🙂 and 👩‍👩‍👧`,
		"🙂🚀":                                      `\ud83d\ude42\uD83D\uDE80`,
		"half a \uFFFDpair":                       `half a \ud83dpair`,
		"a \"quote\" \\ \n\t\x00\x7f / end\u2028": `a \"quote\" \\ \n\t\u0000\u007f \/ end\u2028`,
		strings.Repeat("ß", 4096):                 strings.Repeat(`\u00df`, 4096),
		strings.Repeat("🙂", 2048):                 strings.Repeat(`\ud83d\ude42`, 2048),
	}
	for _, escaped := range texts {
		api.write(-1001234567890123, escaped)
	}
	g := api.start()
	api.until("all are answered", func() bool { return len(api.sent()) == len(texts) })
	g.end()
	sent := api.sent()
	for text := range texts {
		if !slices.Contains(sent, text) {
			t.Errorf("%.40q is not among the replies", text)
		}
	}
	if c := api.made("sendMessage")[0]; c.Chat != -1001234567890123 {
		t.Error("the chat is", c.Chat)
	}
}

func TestUnknownFieldsAreNoMatter(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	api.refuse("getUpdates", status(200, `{"new":[{"deep":{"a":[null,1.5e3,true]}}],"result":[{"x":{"y":[]},"message":
		{"via":null,"chat":{"title":"ü","id":4,"more":{}},"entities":[{"offset":0}],"text":"fine","from":{"is_bot":false}},"update_id":700000009}],"ok":true}`))
	g := api.start()
	api.until("it is answered", func() bool { return len(api.sent()) == 1 })
	g.end()
	if last := api.made("getUpdates"); last[len(last)-1].Offset != 700000010 {
		t.Errorf("the last offset is %d", last[len(last)-1].Offset)
	}
}

func TestAPollWaitsAndTheOffsetConfirms(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	api.write(1, "one")
	g := api.start()
	api.until("the long poll is made", func() bool { return len(api.made("getUpdates")) == 2 })
	polls := api.made("getUpdates")
	if polls[0].Offset != 0 || polls[0].Wait != 0 || polls[0].Limit != sizes.Updates {
		t.Errorf("the first poll: %+v", polls[0])
	}
	if polls[1].Offset != 700_000_002 || polls[1].Wait != 45 {
		t.Errorf("the second poll: %+v", polls[1])
	}
	if took := g.end(); took > 200*time.Millisecond {
		t.Errorf("stopping took %v", took)
	}
	// The second poll was not answered, so nobody knows whether it confirmed.
	if polls = api.made("getUpdates"); len(polls) != 3 || polls[2].Offset != 700_000_002 || polls[2].Wait != 0 {
		t.Errorf("the polls: %+v", polls)
	}
	if len(api.waiting) != 0 {
		t.Error("the message is not confirmed")
	}
}

func TestAStopBetweenTwoPollsConfirmsWhatWasAnswered(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	api.delivery = 150 * time.Millisecond
	for _, text := range []string{"one", "two", "three"} {
		api.write(1, text)
	}
	g := api.start()
	api.until("the second reply is on its way", func() bool { return len(api.sent()) == 2 })
	if took := g.end(); took > time.Second {
		t.Errorf("stopping took %v", took)
	}
	if sent := api.sent(); !slices.Equal(sent, []string{"one", "two"}) || g.Stats.Outbound.Load() != 2 {
		t.Errorf("%q, counted %d", sent, g.Stats.Outbound.Load())
	}
	polls := api.made("getUpdates")
	if last := polls[len(polls)-1]; last.Offset != 700_000_003 || last.Wait != 0 {
		t.Errorf("the last poll: %+v", last)
	}
	again := api.start()
	api.until("the third is answered", func() bool { return len(api.sent()) == 3 })
	again.end()
	if sent := api.sent(); !slices.Equal(sent, []string{"one", "two", "three"}) {
		t.Errorf("%q", sent)
	}
}

func TestAStopDoesNotWaitLongForAReply(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	api.write(1, "one")
	api.refuse("sendMessage", func(_ http.ResponseWriter, request *http.Request) { <-request.Context().Done() })
	g := api.start()
	api.until("the reply is on its way", func() bool { return len(api.sent()) == 1 })
	if took := g.end(); took < drainTime/2 || took > drainTime+500*time.Millisecond {
		t.Errorf("stopping took %v", took)
	}
	if len(api.waiting) != 1 {
		t.Error("a message that was never answered is confirmed")
	}
}

func TestAnEmptyReplyIsNotSent(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	held := make(chan struct{})
	api.refuse("getMe", func(w http.ResponseWriter, r *http.Request) {
		<-held
		status(200, `{"ok":true,"result":{"username":"slim_bot"}}`)(w, r)
	})
	g := api.start()
	api.until("getMe is asked", func() bool { return len(api.made("getMe")) == 1 })
	g.Handle = func(m *Message, _ func()) Reply { return Reply{Text: strings.TrimPrefix(m.Text, "silence")} }
	close(held)
	api.write(1, "silence")
	api.write(1, "talk")
	api.until("a reply is counted", func() bool { return g.Stats.Outbound.Load() == 1 })
	if sent := api.sent(); !slices.Equal(sent, []string{"talk"}) {
		t.Errorf("%q", sent)
	}
}

func TestAStopEndsEveryKindOfWait(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(*botAPI) *gateway{
		"a long poll": func(api *botAPI) *gateway {
			g := api.start()
			api.until("the long poll", func() bool { return len(api.made("getUpdates")) == 2 })
			return g
		},
		"getMe": func(api *botAPI) *gateway {
			api.refuse("getMe", func(_ http.ResponseWriter, request *http.Request) { <-request.Context().Done() })
			g := api.start()
			api.until("getMe", func() bool { return len(api.made("getMe")) == 1 })
			return g
		},
		"a pause that the API asked for": func(api *botAPI) *gateway {
			api.refuse("getUpdates", status(429, `{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":3000}}`))
			g := api.start()
			api.until("the pause", func() bool { return g.Stats.Errors.Load() == 1 })
			return g
		},
		"a pause before a second try of a reply": func(api *botAPI) *gateway {
			api.write(1, "one")
			api.refuse("sendMessage", status(429, `{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":3000}}`))
			g := api.start()
			api.until("the pause", func() bool { return g.Stats.Errors.Load() == 1 })
			return g
		},
		"a look whether Telegram is within reach at all": func(api *botAPI) *gateway {
			g := api.startWith(func(p *Poller) { p.FirstPause = time.Millisecond })
			api.until("it is ready", func() bool { return len(api.made("getMe")) == 1 })
			for range sendTries {
				api.refuse("sendMessage", failure(500, "Internal Server Error"))
			}
			api.refuse("getMe", func(_ http.ResponseWriter, request *http.Request) { <-request.Context().Done() })
			api.write(1, "one")
			api.until("getMe", func() bool { return len(api.made("getMe")) == 2 })
			return g
		},
		"nothing yet": func(api *botAPI) *gateway { return api.start() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if took := make(newBotAPI(t)).end(); took > 200*time.Millisecond {
				t.Errorf("stopping took %v", took)
			}
		})
	}
}

func TestThereIsTimeToTidyWhenABatchIsAnswered(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	var g *gateway
	var tidied, answered atomic.Int64
	ready := make(chan struct{})
	g = api.startWith(func(p *Poller) {
		p.Tidy = func() {
			<-ready
			tidied.Add(1)
			answered.Store(g.Stats.Outbound.Load())
		}
	})
	close(ready)
	api.until("the long poll", func() bool { return len(api.made("getUpdates")) == 2 })
	if tidied.Load() != 1 || answered.Load() != 0 {
		t.Error(tidied.Load(), answered.Load())
	}
	api.write(1, "x")
	api.until("the next long poll", func() bool { return len(api.made("getUpdates")) == 3 })
	if tidied.Load() != 2 || answered.Load() != 1 {
		t.Error(tidied.Load(), answered.Load())
	}
}
