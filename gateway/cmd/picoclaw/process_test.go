package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	token    = "12345:abcdefghijklmnopqrstuvwxyzABCDEFGHI"
	testTime = 15 * time.Second
	tags     = "telegram,smallbuf"
)

// limits are those that a board gets.
var limits = []string{"GOMEMLIMIT=5MiB", "GOGC=20", "GOMAXPROCS=1"}

var folder string // of this run of the tests

func TestMain(m *testing.M) {
	made, err := os.MkdirTemp("", "picoclaw-test-")
	if err != nil {
		panic(err)
	}
	folder = made
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

// program is built as a board gets it, once.
var program = sync.OnceValues(func() (string, error) { return built("picoclaw", tags) })

func built(name, tags string) (string, error) {
	path := filepath.Join(folder, name)
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	build := exec.Command("go", "build", "-trimpath", "-tags", tags, "-ldflags", "-s -w -X main.version=9.8.7", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", errors.New(string(out))
	}
	return path, nil
}

// telegramAPI is a Bot API over TLS that has a number of messages for whoever asks, and counts the replies.
type telegramAPI struct {
	*httptest.Server
	mu       sync.Mutex
	messages int // still to be fetched
	fetched  int
	replies  int
	refusal  int // what every getUpdates is refused with, or 0
	changed  chan struct{}
}

func newTelegramAPI(t *testing.T) *telegramAPI {
	api := &telegramAPI{changed: make(chan struct{})}
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
	}
	if err := json.NewDecoder(request.Body).Decode(&call); err != nil || !strings.HasPrefix(request.URL.Path, "/bot"+token+"/") {
		w.WriteHeader(404)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch filepath.Base(request.URL.Path) {
	case "getMe":
		io.WriteString(w, `{"ok":true,"result":{"id":12345,"is_bot":true,"username":"slim_bot"}}`)
	case "sendMessage":
		a.replies++
		io.WriteString(w, `{"ok":true,"result":{"message_id":1,"chat":{"id":7}}}`)
	case "getUpdates":
		if a.refusal != 0 {
			w.WriteHeader(a.refusal)
			fmt.Fprintf(w, `{"ok":false,"error_code":%d,"description":"refused"}`, a.refusal)
			return
		}
		if a.messages == 0 && call.Timeout > 0 {
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
		for ; len(updates) < call.Limit && a.messages > 0; a.messages-- {
			a.fetched++
			updates = append(updates, fmt.Sprintf(`{"update_id":%d,"message":{"message_id":%d,"from":{"id":7,"is_bot":false,"first_name":"A",
				"language_code":"en"},"chat":{"id":7,"first_name":"A","type":"private"},"date":1700000000,"text":"message %d, and some more \u00fc"}}`,
				a.fetched, a.fetched, a.fetched))
		}
		fmt.Fprintf(w, `{"ok":true,"result":[%s]}`, strings.Join(updates, ","))
	}
}

// deliver has more messages fetched and waits until all are answered.
func (a *telegramAPI) deliver(t *testing.T, messages int) {
	t.Helper()
	a.mu.Lock()
	a.messages += messages
	close(a.changed)
	a.changed = make(chan struct{})
	a.mu.Unlock()
	for end := time.Now().Add(testTime); ; time.Sleep(2 * time.Millisecond) {
		a.mu.Lock()
		left := a.messages + a.fetched - a.replies
		a.mu.Unlock()
		if left == 0 {
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

func command(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(path, arguments...)
	c.Env = append(os.Environ(), limits...)
	return c
}

// finished runs a command to its end.
func finished(t *testing.T, arguments ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := begin(t, command(t, arguments...))
	return p.code(t), p.stdout.String(), p.stderr.String()
}

// process is a program that runs.
type process struct {
	*exec.Cmd
	stdout, stderr bytes.Buffer // to be read after its end
	ended          chan struct{}
}

func begin(t *testing.T, c *exec.Cmd) *process {
	t.Helper()
	p := &process{Cmd: c, ended: make(chan struct{})}
	c.Stdout, c.Stderr = &p.stdout, &p.stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		c.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		c.Process.Kill()
		<-p.ended
		if strings.Contains(p.stdout.String()+p.stderr.String(), token[6:]) {
			t.Errorf("the token is told: %s %s", &p.stdout, &p.stderr)
		}
	})
	return p
}

func (p *process) code(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
		return p.ProcessState.ExitCode()
	case <-time.After(testTime):
		t.Fatal("the program goes on")
		return 0
	}
}

// gateway runs a gateway until the test ends; it answers on its health port when this returns.
func gateway(t *testing.T, config string, port int) *process {
	t.Helper()
	p := begin(t, command(t, "gateway", "--config", config))
	for end := time.Now().Add(testTime); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			conn.Close()
			return p
		}
		select {
		case <-p.ended:
			t.Fatalf("the gateway ended: %s", &p.stderr)
		default:
		}
		if time.Now().After(end) {
			t.Fatal("the gateway does not listen")
		}
	}
}
