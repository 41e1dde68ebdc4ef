package telegram

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"slimdeploy/gateway/internal/health"
	"slimdeploy/gateway/internal/wire"
)

// gateway is a poller that runs.
type gateway struct {
	*Poller
	api   *botAPI
	stop  chan struct{}
	ended chan error
}

// start runs a poller that echoes, to everybody or to those named; its pauses are short.
func (a *botAPI) start(access ...string) *gateway {
	a.t.Helper()
	return a.startWith(func(p *Poller) { p.Access = access })
}

// startWith runs one that set has changed before.
func (a *botAPI) startWith(set func(*Poller)) *gateway {
	a.t.Helper()
	endpoint, err := wire.ParseEndpoint(a.server.URL)
	if err != nil {
		a.t.Fatal(err)
	}
	config := a.server.Client().Transport.(*http.Transport).TLSClientConfig
	g := &gateway{
		Poller: &Poller{
			Bot:        NewBot(endpoint, token, &tls.Config{RootCAs: config.RootCAs}),
			Stats:      health.NewStats("test", time.Minute),
			Handle:     func(m *Message, _ func()) Reply { return Reply{Text: m.Text} },
			FirstPause: 10 * time.Millisecond,
		},
		api: a, stop: make(chan struct{}), ended: make(chan error, 1),
	}
	set(g.Poller)
	go func() { g.ended <- g.Run(g.stop) }()
	a.t.Cleanup(func() {
		select {
		case <-g.stop:
		default:
			close(g.stop)
		}
		select {
		case <-g.ended:
		case <-time.After(testTime):
			a.t.Error("the poller does not stop")
		}
	})
	return g
}

// end stops the poller and gives back how long that took.
func (g *gateway) end() time.Duration {
	g.api.t.Helper()
	start := time.Now()
	close(g.stop)
	select {
	case err := <-g.ended:
		if err != nil {
			g.api.t.Error(err)
		}
		g.ended <- nil // for the clean-up
	case <-time.After(testTime):
		g.api.t.Fatal("the poller does not stop")
	}
	return time.Since(start)
}

// wait waits for Run to end by itself.
func (g *gateway) wait() error {
	g.api.t.Helper()
	select {
	case err := <-g.ended:
		g.ended <- nil
		return err
	case <-time.After(testTime):
		g.api.t.Fatal("the poller goes on")
		return nil
	}
}

// state is what /health says of the channel.
func (g *gateway) state() (state, detail string) {
	var document struct {
		Telegram struct{ State, Detail string }
	}
	if err := json.Unmarshal(g.Stats.AppendJSON(nil, "ok"), &document); err != nil {
		g.api.t.Error(err)
	}
	return document.Telegram.State, document.Telegram.Detail
}

// logged catches every line of this package's tests; TestMain reads what it holds.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

var log logged

// TestMain keeps what the tests log, and makes sure that none of it holds the token.
func TestMain(m *testing.M) {
	in, out, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	stderr := os.Stderr
	os.Stderr = out
	copied := make(chan struct{})
	go func() {
		io.Copy(&log, in)
		close(copied)
	}()
	code := m.Run()
	os.Stderr = stderr
	out.Close()
	<-copied
	if text := log.String(); strings.Contains(text, token) || strings.Contains(text, token[6:]) {
		os.Stderr.WriteString("the token stands in a log line:\n" + text)
		code = 1
	} else if code != 0 {
		os.Stderr.WriteString(text)
	}
	os.Exit(code)
}
