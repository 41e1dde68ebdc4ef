package telegram

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"slimdeploy/gateway/internal/health"
	"slimdeploy/gateway/internal/reply"
	"slimdeploy/gateway/internal/wire"
)

// Memory can be counted only where the Bot API is another process: its own allocations would be counted with the gateway's.

const peerVariable = "PICOCLAW_TEST_BOT_API"

// TestPeerProcess is that process, and no test: a Bot API over TLS that is told on its standard input what it has.
// A line "M B E T" stands for M messages, B in one batch, with E getUpdates before each batch that bring nothing; T is what
// their texts are made of (peerTexts).
// It answers with a line when all of it was fetched and answered.
func TestPeerProcess(t *testing.T) {
	if os.Getenv(peerVariable) == "" {
		t.Skip("only run by other tests")
	}
	var text string
	peer := &peerAPI{changed: make(chan struct{}, 1), done: make(chan struct{}, 1)}
	server := httptest.NewTLSServer(peer)
	fmt.Println(server.URL, base64.StdEncoding.EncodeToString(server.Certificate().Raw))
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		peer.mu.Lock()
		if _, err := fmt.Sscan(lines.Text(), &peer.messages, &peer.batch, &peer.empty, &text); err != nil {
			t.Fatal(err)
		}
		peer.pause, peer.text = peer.empty, peerTexts[text]
		peer.mu.Unlock()
		peer.changed <- struct{}{}
		<-peer.done
		fmt.Println("done")
	}
	os.Exit(0)
}

type peerAPI struct {
	changed, done chan struct{}

	mu                     sync.Mutex
	messages, batch, empty int // as the line says; messages are those not fetched yet
	pause                  int // empty answers before the next batch
	unanswered             int
	id                     int
	text                   string // as it stands in the JSON
}

// peerTexts are what messages say. One that begins with # is answered marked up.
var peerTexts = map[string]string{
	"short":    `message, and some more \u00fc`,
	"4k":       strings.Repeat("Sixty-four characters stand in this line, and many lines follow.", 64),
	"cyrillic": strings.Repeat("Сообщение ", 400),
	"markdown": `# A heading\n\n` + strings.Repeat(`Some **bold** and _slanted_ words, <b> & a [link](https://example.org/?a=1&b=2).\n`, 48),
}

func (p *peerAPI) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	var call struct{ Limit, Timeout int }
	if err := json.NewDecoder(request.Body).Decode(&call); err != nil {
		panic(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch filepath.Base(request.URL.Path) {
	case "getMe":
		io.WriteString(w, `{"ok":true,"result":{"id":12345,"is_bot":true,"username":"slim_bot"}}`)
	case "sendMessage":
		// What api.telegram.org answers with: the message as it was sent.
		io.WriteString(w, `{"ok":true,"result":{"message_id":1,"from":{"id":12345,"is_bot":true,"first_name":"Slim","username":"slim_bot"},`+
			`"chat":{"id":7,"first_name":"A","type":"private"},"date":1700000000,"text":"`+p.text+`"}}`)
		if p.unanswered--; p.unanswered == 0 && p.messages == 0 {
			p.done <- struct{}{}
		}
	case "getUpdates":
		if p.messages == 0 && call.Timeout > 0 {
			p.mu.Unlock()
			select {
			case <-p.changed:
			case <-request.Context().Done():
			}
			p.mu.Lock()
		}
		var updates []string
		if p.pause > 0 {
			p.pause--
		} else {
			for ; len(updates) < min(call.Limit, p.batch) && p.messages > 0; p.messages-- {
				p.id++
				p.unanswered++
				updates = append(updates, fmt.Sprintf(`{"update_id":%d,"message":{"message_id":%d,"from":{"id":7,"is_bot":false,`+
					`"first_name":"A","username":"somebody","language_code":"en"},"chat":{"id":7,"first_name":"A","type":"private"},`+
					`"date":1700000000,"text":"%s"}}`, p.id, p.id, p.text))
			}
			p.pause = p.empty
		}
		fmt.Fprintf(w, `{"ok":true,"result":[%s]}`, strings.Join(updates, ","))
	}
}

// peerProcess is the running one, and the gateway that it serves.
type peerProcess struct {
	t     *testing.T
	in    io.Writer
	out   *bufio.Scanner
	stats *health.Stats
}

// startPeerProcess starts both; the gateway is put together as cmd/picoclaw does it.
func startPeerProcess(t *testing.T) *peerProcess {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(exe, "-test.run=^TestPeerProcess$")
	command.Env = append(os.Environ(), peerVariable+"=1")
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		command.Process.Kill()
		command.Wait()
	})
	p := &peerProcess{t: t, in: in, out: bufio.NewScanner(out), stats: health.NewStats("test", time.Minute)}
	if !p.out.Scan() {
		t.Fatal("the peer does not start")
	}
	url, text, _ := strings.Cut(p.out.Text(), " ")
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	endpoint, err := wire.ParseEndpoint(url)
	if err != nil {
		t.Fatal(err)
	}
	replier := &reply.Replier{Stats: p.stats, Provider: reply.Echo{}}
	poller := &Poller{
		Bot:   NewBot(endpoint, token, &tls.Config{RootCAs: roots}),
		Stats: p.stats,
		Handle: func(m *Message, typing func()) Reply {
			answer, markdown := replier.To(m.Chat, m.Text, typing)
			return Reply{Text: answer, Markdown: markdown || strings.HasPrefix(answer, "# ")}
		},
		OffsetFile: filepath.Join(t.TempDir(), "telegram.offset"),
	}
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- poller.Run(stop) }()
	t.Cleanup(func() {
		close(stop)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return p
}

// exchange has so many messages sent and answered; text is one of peerTexts.
func (p *peerProcess) exchange(messages, batch, empty int, text string) {
	p.t.Helper()
	before := p.stats.Outbound.Load()
	fmt.Fprintln(p.in, messages, batch, empty, text)
	if !p.out.Scan() {
		p.t.Fatal("the peer ended")
	}
	for end := time.Now().Add(testTime); p.stats.Outbound.Load() < before+int64(messages); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("%d of %d messages were answered", p.stats.Outbound.Load()-before, messages)
		}
	}
}
