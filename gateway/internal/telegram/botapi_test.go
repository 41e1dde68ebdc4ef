package telegram

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	token    = "12345:abcdefghijklmnopqrstuvwxyzABCDEFGHI"
	testTime = 10 * time.Second
)

// botAPI is a Bot API server over real TLS. It keeps updates until they are confirmed, as core.telegram.org/bots/api,
// "getUpdates", has it.
type botAPI struct {
	t      *testing.T
	server *httptest.Server

	mu       sync.Mutex
	changed  chan struct{} // closed and made anew when something has happened
	nextID   int64
	waiting  []update
	calls    []call
	instead  []answer // what is answered in place of the next calls of a method
	delivery time.Duration
}

type update struct {
	id   int64
	text string // the whole object, but for the id
}

type call struct {
	method string
	Offset int64  `json:"offset"`
	Limit  int    `json:"limit"`
	Wait   int    `json:"timeout"`
	Chat   int64  `json:"chat_id"`
	Topic  int64  `json:"message_thread_id"`
	Text   string `json:"text"`
	Mode   string `json:"parse_mode"`
	Action string `json:"action"`
	Reply  struct {
		Message int64 `json:"message_id"`
	} `json:"reply_parameters"`
}

type answer struct {
	method string
	give   http.HandlerFunc
}

func newBotAPI(t *testing.T) *botAPI {
	api := &botAPI{t: t, changed: make(chan struct{}), nextID: 700_000_001}
	api.server = httptest.NewTLSServer(api)
	t.Cleanup(func() {
		api.server.CloseClientConnections()
		api.server.Close()
	})
	return api
}

func (a *botAPI) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	method, ours := strings.CutPrefix(request.URL.Path, "/bot"+token+"/")
	c := call{method: method}
	if err := json.NewDecoder(request.Body).Decode(&c); err != nil || request.Method != "POST" || !ours {
		a.t.Errorf("%s %s is no call: %v", request.Method, request.URL.Path, err)
	}
	a.mu.Lock()
	a.calls = append(a.calls, c)
	a.notify()
	for i, instead := range a.instead {
		if instead.method == method {
			a.instead = append(a.instead[:i:i], a.instead[i+1:]...)
			a.mu.Unlock()
			instead.give(w, request)
			return
		}
	}
	a.mu.Unlock()
	switch method {
	case "getMe":
		io.WriteString(w, `{"ok":true,"result":{"id":12345,"is_bot":true,"first_name":"Slim","username":"slim_bot","can_join_groups":true}}`)
	case "getUpdates":
		fmt.Fprintf(w, `{"ok":true,"result":[%s]}`, strings.Join(a.updates(c, request.Context().Done()), ",\n "))
	case "sendMessage":
		time.Sleep(a.delivery)
		fmt.Fprintf(w, `{"ok":true,"result":{"message_id":1,"chat":{"id":%d}}}`, c.Chat)
	case "sendChatAction":
		io.WriteString(w, `{"ok":true,"result":true}`)
	case "deleteWebhook":
		io.WriteString(w, `{"ok":true,"result":true,"description":"Webhook was deleted"}`)
	}
}

// updates waits as getUpdates does.
func (a *botAPI) updates(c call, gone <-chan struct{}) (found []string) {
	end := time.After(time.Duration(c.Wait) * time.Second)
	for {
		a.mu.Lock()
		for len(a.waiting) > 0 && a.waiting[0].id < c.Offset {
			a.waiting = a.waiting[1:]
		}
		for _, u := range a.waiting[:min(len(a.waiting), c.Limit)] {
			found = append(found, fmt.Sprintf(`{"update_id":%d,%s}`, u.id, u.text))
		}
		changed := a.changed
		a.mu.Unlock()
		if len(found) > 0 {
			return found
		}
		select {
		case <-changed:
		case <-end:
			return nil
		case <-gone:
			return nil
		}
	}
}

func (a *botAPI) notify() {
	close(a.changed)
	a.changed = make(chan struct{})
}

// put makes one update of the object's members.
func (a *botAPI) put(members string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = append(a.waiting, update{a.nextID, members})
	a.nextID++
	a.notify()
}

// write is a user's text message; text is JSON without the quotes.
func (a *botAPI) write(chat int64, text string) {
	a.put(fmt.Sprintf(`"message":{"message_id":5,"from":{"id":%d,"is_bot":false,"first_name":"A"},"chat":{"id":%d,"type":"private"},"date":1,"text":"%s"}`,
		chat, chat, text))
}

// refuse answers the next call of method with give.
func (a *botAPI) refuse(method string, give http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.instead = append(a.instead, answer{method, give})
}

// status answers with a code, and with text as the body.
func status(code int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		io.WriteString(w, text)
	}
}

func failure(code int, description string) http.HandlerFunc {
	return status(code, fmt.Sprintf(`{"ok":false,"error_code":%d,"description":%q}`, code, description))
}

// torn begins an answer and breaks the connection in the middle of it.
func torn(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	io.WriteString(w, `{"ok":true,"result":[{"update_id":1,"mess`)
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// raw gives an answer byte for byte, and ends the connection.
func raw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		io.WriteString(conn, text)
		conn.Close()
	}
}

// made are the calls of a method so far.
func (a *botAPI) made(method string) (found []call) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.calls {
		if c.method == method {
			found = append(found, c)
		}
	}
	return found
}

func (a *botAPI) sent() (texts []string) {
	for _, c := range a.made("sendMessage") {
		texts = append(texts, c.Text)
	}
	return texts
}

// until waits for a state of things.
func (a *botAPI) until(what string, holds func() bool) {
	a.t.Helper()
	for end := time.Now().Add(testTime); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			a.t.Fatalf("it never came to this: %s; the calls: %+v", what, a.calls)
		}
	}
}
