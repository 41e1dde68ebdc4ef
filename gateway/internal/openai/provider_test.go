package openai

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"slimdeploy/gateway/internal/wire"
)

const key = "sk-test-0123456789"

type asked struct {
	Stream      bool
	Model       string
	MaxTokens   int     `json:"max_tokens"`
	Temperature float64 `json:"temperature"`
	Messages    []struct{ Role, Content string }
}

// endpoint is a stand-in over real TLS that answers as give says, and keeps what it was asked.
type endpoint struct {
	t      *testing.T
	server *httptest.Server
	mu     sync.Mutex
	asked  []asked
	conns  map[string]bool
	give   http.HandlerFunc
}

func newEndpoint(t *testing.T, give http.HandlerFunc) *endpoint {
	e := &endpoint{t: t, give: give, conns: map[string]bool{}}
	e.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var question asked
		if err := json.NewDecoder(r.Body).Decode(&question); err != nil || r.URL.Path != "/v1/chat/completions" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		if r.Header.Get("Authorization") != "Bearer "+key {
			t.Error("no key came")
		}
		e.mu.Lock()
		e.asked = append(e.asked, question)
		e.conns[r.RemoteAddr] = true
		e.mu.Unlock()
		e.give(w, r)
	}))
	t.Cleanup(e.server.Close)
	return e
}

func (e *endpoint) provider(set func(*Settings)) *Provider {
	at, err := wire.ParseEndpoint(e.server.URL + "/v1")
	if err != nil {
		e.t.Fatal(err)
	}
	settings := Settings{Endpoint: at, Key: key, Model: "small", Turns: 6}
	if set != nil {
		set(&settings)
	}
	roots := e.server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return New(settings, &tls.Config{RootCAs: roots})
}

// stream gives pieces as server-sent events.
func stream(pieces ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, ": keep alive\n\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null}}]}\r\n\r\n")
		for _, piece := range pieces {
			text, _ := json.Marshal(piece)
			fmt.Fprintf(w, "event: x\ndata:{\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":%s},\"finish_reason\":null}]}\n\n", text)
			w.(http.Flusher).Flush()
		}
		io.WriteString(w, "data: {\"choices\":[],\"usage\":{}}\n\ndata: [DONE]\n\n")
	}
}

func answer(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, text)
	}
}

func TestAStreamedAnswerComesTogether(t *testing.T) {
	e := newEndpoint(t, stream("Hello", ", **w", "orld** 🙂"))
	p := e.provider(func(s *Settings) { s.System, s.MaxTokens, s.Temperature = "be brief", 99, "0.5" })
	if got, markdown := p.Answer(1, "hi \"there\""); got != "Hello, **world** 🙂" || !markdown {
		t.Errorf("%q", got)
	}
	q := e.asked[0]
	if !q.Stream || q.Model != "small" || q.MaxTokens != 99 || q.Temperature != 0.5 || len(q.Messages) != 2 || q.Messages[0].Role != "system" || q.Messages[1].Content != "hi \"there\"" {
		t.Errorf("%+v", q)
	}
}

func TestAServerThatDoesNotStreamIsUnderstoodToo(t *testing.T) {
	e := newEndpoint(t, answer(200, `{"id":"x","choices":[{"message":{"role":"assistant","content":"one"},"finish_reason":"stop"},{"message":{"content":"two"}}]}`))
	if got, _ := e.provider(nil).Answer(1, "q"); got != "one" {
		t.Errorf("%q", got)
	}
}

func TestWhatWasSaidIsRememberedWithinBounds(t *testing.T) {
	e := newEndpoint(t, stream("yes"))
	p := e.provider(func(s *Settings) { s.Turns = 4 })
	for number := range 5 {
		p.Answer(1, fmt.Sprint("question ", number))
	}
	p.Answer(2, "another chat")
	last, other := e.asked[4].Messages, e.asked[5].Messages
	if len(last) != 5 || last[0].Content != "question 2" || last[1].Role != "assistant" || last[4].Content != "question 4" {
		t.Errorf("%+v", last)
	}
	if len(other) != 1 {
		t.Errorf("%+v", other)
	}
	if len(e.conns) != 1 {
		t.Errorf("%d connections", len(e.conns))
	}
	var h history
	for chat := range int64(40) {
		h.add(chat, strings.Repeat("q", 3000), strings.Repeat("a", 3000), 100)
		h.add(chat, "q", "a", 100)
	}
	if len(h.chats) != maxChats || h.find(39) != 0 || h.find(24) != 15 || h.find(23) >= 0 || len(h.chats[0].turns) != 2 {
		t.Errorf("%d chats, %d turns", len(h.chats), len(h.chats[0].turns))
	}
}

func TestAnAnswerOfTenMegabytesCostsNoTen(t *testing.T) {
	big := strings.Repeat("words ", 200)
	for name, give := range map[string]http.HandlerFunc{
		"streamed": func(w http.ResponseWriter, r *http.Request) {
			for range 10_000 {
				if _, err := fmt.Fprintf(w, "data: {\"choices\":[{\"delta\":{\"content\":%q}}]}\n\n", big); err != nil {
					return
				}
			}
		},
		"whole": answer(200, `{"choices":[{"message":{"content":"`+strings.Repeat(big, 5000)+`"}}]}`),
	} {
		e := newEndpoint(t, give)
		got, _ := e.provider(nil).Answer(1, "q")
		if !strings.HasSuffix(got, "(The answer was longer; it is cut here.)") || len(got) > MaxAnswer+100 || len(got) < MaxAnswer-100 {
			t.Errorf("%s: %d bytes, %q", name, len(got), got[max(0, len(got)-60):])
		}
	}
}

func TestEveryFaultBecomesOneSentence(t *testing.T) {
	for wanted, give := range map[string]http.HandlerFunc{
		"refuses this gateway's API key":      answer(401, `{"error":{"message":"Incorrect API key provided: sk-x","type":"invalid_request_error"}}`),
		"small is not known there":            answer(404, `{"error":{"message":"The model does not exist"}}`),
		"has too much to do":                  answer(429, `{"error":"slow down"}`),
		"has grown too long":                  answer(400, `{"error":{"message":"This model's maximum context length is 4096 tokens"}}`),
		"has a problem of its own":            answer(502, "<html>Bad Gateway</html>"),
		"does not take the question":          answer(400, `{"error":{"message":"bad parameter"}}`),
		"gave no answer":                      stream(),
		"What the language model answered":    answer(200, "data: {]\n\n"),
		"does not answer that":                answer(200, `{"choices":[{"message":{"content":null},"finish_reason":"content_filter"}]}`),
		"The language model can't be reached": func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) },
	} {
		e := newEndpoint(t, give)
		got, markdown := e.provider(nil).Answer(1, "q")
		if !strings.Contains(got, wanted) || markdown || strings.Contains(got, "\n") {
			t.Errorf("%q instead of %q", got, wanted)
		}
	}
}

func TestAStreamThatBreaksGivesWhatCame(t *testing.T) {
	e := newEndpoint(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "data: {\"choices\":[{\"delta\":{\"content\":\"the beginning\"}}]}\n\n")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	if got, _ := e.provider(nil).Answer(1, "q"); got != "the beginning\n\n(The answer broke off here.)" {
		t.Errorf("%q", got)
	}
}

func TestAnInterruptEndsAnAnswerAtOnce(t *testing.T) {
	begun := make(chan struct{})
	e := newEndpoint(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		close(begun)
		<-r.Context().Done()
	})
	p := e.provider(nil)
	go func() { <-begun; p.Interrupt() }()
	start := time.Now()
	if got, _ := p.Answer(1, "q"); got != "" || time.Since(start) > 5*time.Second {
		t.Errorf("%q after %v", got, time.Since(start))
	}
}

func TestTheKeyIsInNoLogLine(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stderr
	os.Stderr = write
	e := newEndpoint(t, answer(401, `{"error":{"message":"the key `+key+` is none of ours"}}`))
	e.provider(nil).Answer(1, "q")
	e = newEndpoint(t, answer(200, "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: {\"error\":{\"message\":\""+key+"\"}}\n\n"))
	e.provider(nil).Answer(1, "q")
	os.Stderr = before
	write.Close()
	if log, _ := io.ReadAll(read); strings.Contains(string(log), key) || !strings.Contains(string(log), "401: the key \\u2026 is none of ours") || strings.Count(string(log), "\n") != 2 {
		t.Errorf("%s", log)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(200, "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: [DONE]\n")
	f.Add(200, `{"choices":[{"message":{"content":"x"}}]}`)
	f.Add(500, "<html>")
	f.Add(400, `{"error":{"message":"é"}}`)
	f.Add(200, "data:\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n")
	f.Fuzz(func(t *testing.T, status int, body string) {
		var s said
		s.read(status, strings.NewReader(body))
		if len(s.text) > MaxAnswer {
			t.Fatal(len(s.text))
		}
	})
}

func TestAQuestionIsRememberedAsItWas(t *testing.T) {
	var h history
	text := []byte("what is it?")
	h.add(1, unsafe.String(&text[0], len(text)), "that", 10) // as a channel hands it out: gone with the next batch
	copy(text, "overwritten")
	h.each(1, func(role, content string) {
		if role == "user" && content != "what is it?" {
			t.Errorf("it is remembered as %q", content)
		}
	})
}
