package telegram

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// faulty is what a call is answered with; taken says that the call took effect all the same.
type faulty struct {
	taken bool
	give  http.HandlerFunc
}

// sentAnswer is an answer to sendMessage with padding in it, so that it has so many bytes at least.
func sentAnswer(padding int) string {
	return `{"ok":true,"result":{"message_id":1,"chat":{"id":1},"text":"` + strings.Repeat("x", padding) + `"}}`
}

// brokenOff gives the first bytes of a longer answer, and closes the connection.
func brokenOff(text string, length int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		w.WriteHeader(200)
		io.WriteString(w, text[:length])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

// dripped gives an answer byte by byte.
func dripped(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, c := range []byte(text) {
			w.Write([]byte{c})
			w.(http.Flusher).Flush()
			time.Sleep(time.Millisecond)
		}
	}
}

// Whatever happens to the answer of a call: no message is lost, and none is answered twice.
func TestAFaultLosesNothingAndAnswersNothingTwice(t *testing.T) {
	t.Parallel()
	const flood = `{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 0","parameters":{"retry_after":0}}`
	for name, fault := range map[string]faulty{
		"broken off at once":      {true, brokenOff(sentAnswer(500), 0)},
		"broken off after ok":     {true, brokenOff(sentAnswer(500), 12)},
		"broken off at the end":   {true, brokenOff(sentAnswer(500), len(sentAnswer(500))-1)},
		"garbage after ok":        {true, status(200, `{"ok":true,"result":}`)},
		"oversize":                {true, status(200, sentAnswer(9<<20))},
		"slow drip":               {true, dripped(sentAnswer(10))},
		"429":                     {false, status(429, flood)},
		"500":                     {false, failure(500, "Internal Server Error")},
		"502 with a page":         {false, status(502, "<html>")},
		"200 with a proxy's page": {false, status(200, "<html>Please log in</html>")},
		"closed without a word":   {false, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if raceDetector && name == "oversize" {
				t.Skip("18 MB are read, a byte at a time, which the race detector makes twenty times slower")
			}
			api := newBotAPI(t)
			for _, text := range []string{"one", "two", "three"} {
				api.write(1, text)
			}
			api.refuse("getUpdates", fault.give) // takes no effect, whatever it is: nothing is confirmed, nothing has come
			api.refuse("sendMessage", fault.give)
			g := api.start()
			api.until("all are counted", func() bool { return g.Stats.Outbound.Load() == 3 })
			g.end()
			shown := api.sent()
			if !fault.taken {
				shown = shown[1:]
			}
			if !slices.Equal(shown, []string{"one", "two", "three"}) {
				t.Errorf("the user reads %q", shown)
			}
			if len(api.waiting) != 0 {
				t.Errorf("%d messages are not confirmed", len(api.waiting))
			}
		})
	}
}

func TestAReplyOutlastsAnOutage(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	gone := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for range sendTries + 2 {
		api.refuse("sendMessage", gone)
	}
	api.write(1, "one")
	g := api.startWith(func(p *Poller) { p.FirstPause = time.Millisecond })
	api.until("it is ready", func() bool { return len(api.made("getMe")) == 1 })
	for range 2 { // after the one of the start
		api.refuse("getMe", gone)
	}
	api.until("it is answered in the end", func() bool { return g.Stats.Outbound.Load() == 1 })
	if tries := len(api.made("sendMessage")); tries != sendTries+3 {
		t.Errorf("%d tries", tries)
	}
}

func TestAnUpdateThatCannotBeReadDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	for name, members := range map[string]string{
		"a text of a megabyte": `"message":{"chat":{"id":1},"text":"` + strings.Repeat("x", 1<<20) + `"}`,
		"a number as a text":   `"message":{"chat":{"id":1},"text":17}`,
		"a chat that is none":  `"message":{"chat":[],"text":"x"}`,
		"nested too deep":      `"poll":` + strings.Repeat("[", 99) + strings.Repeat("]", 99),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newBotAPI(t)
			api.write(1, "before")
			api.put(members)
			api.write(1, "after")
			g := api.startWith(func(p *Poller) { p.FirstPause = time.Millisecond })
			api.until("both are answered", func() bool { return g.Stats.Outbound.Load() == 2 })
			g.end()
			if sent := api.sent(); !slices.Equal(sent, []string{"before", "after"}) || len(api.waiting) != 0 {
				t.Errorf("%q, %d updates are not confirmed", sent, len(api.waiting))
			}
		})
	}
}

// A connection that always breaks in the middle of an update says nothing of the update.
func TestATornAnswerLosesNoUpdate(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	text := `{"ok":true,"result":[{"update_id":700000001,"message":{"message_id":5,"chat":{"id":1,"type":"private"},"text":"` + strings.Repeat("x", 500) + `"}}]}`
	for range unreadTries + 2 {
		api.refuse("getUpdates", brokenOff(text, 200))
	}
	api.write(1, "one")
	g := api.startWith(func(p *Poller) { p.FirstPause = time.Millisecond })
	api.until("it is answered", func() bool { return g.Stats.Outbound.Load() == 1 })
	if sent := api.sent(); !slices.Equal(sent, []string{"one"}) {
		t.Errorf("%q", sent)
	}
}

// Where nothing says how long an answer is, the end of a torn connection looks as its own does.
func TestAnAnswerWithoutLengthThatEndsTooEarlyLosesNoUpdate(t *testing.T) {
	t.Parallel()
	const text = `{"ok":true,"result":[{"update_id":700000001,"message":{"message_id":5,"chat":{"id":1,"type":"private"},"text":"on`
	for head, wanted := range map[string][]string{
		"Connection: close":                            {"one", "two"},
		fmt.Sprint("Content-Length: ", len(text)):      {"two"}, // it came whole: the update is at fault
		"Connection: close\r\nContent-Length: 1000000": {"one", "two"},
	} {
		t.Run(head, func(t *testing.T) {
			t.Parallel()
			api := newBotAPI(t)
			for range unreadTries + 2 {
				api.refuse("getUpdates", raw("HTTP/1.1 200 OK\r\n"+head+"\r\n\r\n"+text))
			}
			api.write(1, "one")
			api.write(1, "two")
			g := api.startWith(func(p *Poller) { p.FirstPause = time.Millisecond })
			api.until("all are answered", func() bool { return g.Stats.Outbound.Load() == int64(len(wanted)) })
			g.end()
			if sent := api.sent(); !slices.Equal(sent, wanted) {
				t.Errorf("%q", sent)
			}
		})
	}
}

func TestARepliesPiecesStayInTheirTopic(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	api.put(message(-100, "supergroup", "5", "/long", `,"message_thread_id":77,"is_topic_message":true`))
	api.put(message(-200, "supergroup", "5", "/long", `,"message_thread_id":78`)) // a thread of replies
	g := api.startWith(func(p *Poller) {
		p.Handle = func(_ *Message, typing func()) Reply {
			typing()
			return Reply{Text: strings.Repeat("word ", 1200)}
		}
	})
	api.until("both are answered", func() bool { return g.Stats.Outbound.Load() == 2 })
	for _, c := range append(api.made("sendMessage"), api.made("sendChatAction")...) {
		if wanted := map[int64]int64{-100: 77, -200: 0}[c.Chat]; c.Topic != wanted {
			t.Errorf("chat %d, %s: topic %d", c.Chat, c.method, c.Topic)
		}
	}
	if pieces, shown := len(api.made("sendMessage")), len(api.made("sendChatAction")); pieces != 4 || shown != 2 {
		t.Errorf("%d pieces, typing was shown %d times", pieces, shown)
	}
}

func TestTypingIsShownAsLongAsAnAnswerTakesAndKeepsTheGatewayReady(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	done := make(chan struct{})
	g := api.startWith(func(p *Poller) {
		p.typingEvery = 5 * time.Millisecond
		p.Stats.ReadyFor = 100 * time.Millisecond // of an answer that takes longer than Telegram may be silent
		p.Handle = func(m *Message, typing func()) Reply {
			typing()
			<-done
			return Reply{Text: m.Text}
		}
	})
	api.write(5, "think")
	start := time.Now()
	api.until("it thinks for long", func() bool { return time.Since(start) > 150*time.Millisecond && len(api.made("sendChatAction")) > 3 })
	api.until("it is ready", g.Stats.Ready)
	close(done)
	api.until("it is answered", func() bool { return g.Stats.Outbound.Load() == 1 })
	shown := len(api.made("sendChatAction"))
	time.Sleep(20 * time.Millisecond)
	if after := len(api.made("sendChatAction")); after != shown {
		t.Errorf("typing is still shown: %d times more", after-shown)
	}
}

func TestAnAnswerDoesNotWaitLongForAShowOfTypingThatHangs(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	api.refuse("sendChatAction", func(_ http.ResponseWriter, request *http.Request) { <-request.Context().Done() })
	api.write(1, "x")
	api.startWith(func(p *Poller) {
		p.typingLimit = 50 * time.Millisecond
		p.Handle = func(m *Message, typing func()) Reply { typing(); return Reply{Text: m.Text} }
	})
	api.until("it is answered", func() bool { return len(api.sent()) == 1 })
}

func TestAStopEndsTheShowOfTyping(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	api.refuse("sendChatAction", func(_ http.ResponseWriter, request *http.Request) { <-request.Context().Done() })
	asked, interrupted := make(chan struct{}), make(chan struct{})
	g := api.startWith(func(p *Poller) {
		p.Handle = func(_ *Message, typing func()) Reply {
			typing()
			close(asked)
			<-interrupted
			return Reply{}
		}
	})
	api.write(1, "x")
	<-asked
	api.until("typing is asked for", func() bool { return len(api.made("sendChatAction")) == 1 })
	time.AfterFunc(10*time.Millisecond, func() { close(interrupted) })
	if took := g.end(); took > time.Second {
		t.Errorf("stopping took %v", took)
	}
	if len(api.waiting) != 1 {
		t.Error("a message that was not answered is confirmed")
	}
}
