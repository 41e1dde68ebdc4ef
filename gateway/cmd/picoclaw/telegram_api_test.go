package main

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// telegramAPI is a Bot API over TLS: updates are numbered from 1 and stay until a getUpdates confirms them by its offset.
type telegramAPI struct {
	*httptest.Server
	mu       sync.Mutex
	written  int            // updates so far
	low      int            // the lowest that is not confirmed
	answered map[int]int    // how many replies a message has
	asked    map[string]int // how many getMe a token has made
	revoked  string         // a token that is refused, or ""
	refusal  int            // what every getUpdates is refused with, or 0
	changed  chan struct{}
}

func newTelegramAPI(t *testing.T) *telegramAPI {
	api := &telegramAPI{low: 1, answered: map[int]int{}, asked: map[string]int{}, changed: make(chan struct{})}
	api.Server = httptest.NewTLSServer(api)
	api.Config.ErrorLog = nil
	t.Cleanup(func() {
		api.CloseClientConnections()
		api.Close()
	})
	return api
}

func (a *telegramAPI) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	var call struct {
		Offset, Limit, Timeout int
		Text                   string
	}
	key, method, _ := strings.Cut(strings.TrimPrefix(request.URL.Path, "/bot"), "/")
	err := json.NewDecoder(request.Body).Decode(&call)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil || (key != token && key != newToken) || key == a.revoked {
		w.WriteHeader(401)
		io.WriteString(w, `{"ok":false,"error_code":401,"description":"Unauthorized"}`)
		return
	}
	switch method {
	case "getMe":
		a.asked[key]++
		io.WriteString(w, `{"ok":true,"result":{"id":12345,"is_bot":true,"username":"slim_bot"}}`)
	case "sendMessage":
		var number int
		fmt.Sscanf(call.Text, "message %d,", &number)
		a.answered[number]++
		io.WriteString(w, `{"ok":true,"result":{"message_id":1,"chat":{"id":7}}}`)
	case "getUpdates":
		if a.refusal != 0 {
			w.WriteHeader(a.refusal)
			fmt.Fprintf(w, `{"ok":false,"error_code":%d,"description":"refused"}`, a.refusal)
			return
		}
		a.low = max(a.low, call.Offset)
		if a.low > a.written && call.Timeout > 0 {
			changed := a.changed
			a.mu.Unlock()
			select {
			case <-changed:
			case <-request.Context().Done():
			case <-time.After(time.Duration(call.Timeout) * time.Second):
			}
			a.mu.Lock()
		}
		var updates []string
		for id := a.low; len(updates) < call.Limit && id <= a.written; id++ {
			updates = append(updates, fmt.Sprintf(`{"update_id":%d,"message":{"message_id":%d,"from":{"id":7,"is_bot":false,"first_name":"A",
				"language_code":"en"},"chat":{"id":7,"first_name":"A","type":"private"},"date":1700000000,"text":"message %d, and some more \u00fc"}}`,
				id, id, id))
		}
		fmt.Fprintf(w, `{"ok":true,"result":[%s]}`, strings.Join(updates, ","))
	}
}

// write has users write more messages.
func (a *telegramAPI) write(messages int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.written += messages
	close(a.changed)
	a.changed = make(chan struct{})
}

// deliver has users write more messages and waits until all are answered.
func (a *telegramAPI) deliver(t *testing.T, messages int) {
	t.Helper()
	a.write(messages)
	a.settle(t)
}

// settle waits until all messages are answered; each of them once.
func (a *telegramAPI) settle(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(testTime); ; time.Sleep(2 * time.Millisecond) {
		a.mu.Lock()
		left := a.written - len(a.answered)
		for number, times := range a.answered {
			if times != 1 {
				t.Errorf("message %d is answered %d times", number, times)
			}
		}
		a.mu.Unlock()
		if left == 0 || t.Failed() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d messages are not answered", left)
		}
	}
}

// configured writes a config for the API; change may alter the telegram section.
func (a *telegramAPI) configured(t *testing.T, change func(telegram map[string]any)) (path string, port int) {
	t.Helper()
	home := t.TempDir()
	authority := filepath.Join(home, "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})
	if err := os.WriteFile(authority, text, 0o600); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port = free.Addr().(*net.TCPAddr).Port
	free.Close()
	telegram := map[string]any{"enabled": true, "token": token, "base_url": a.URL, "ca_file": authority}
	if change != nil {
		change(telegram)
	}
	text, err = json.Marshal(map[string]any{"channels": map[string]any{"telegram": telegram}, "gateway": map[string]any{"port": port}})
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(home, "config.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, port
}
