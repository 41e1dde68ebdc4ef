package telegram

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAnAnswerThatAStopInterruptsIsGivenAfterTheNextStart(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	offsets := filepath.Join(t.TempDir(), "offset")
	api.write(1, "quick")
	api.write(1, "slow")
	asked := make(chan struct{})
	var g *gateway
	ready := make(chan struct{})
	g = api.startWith(func(p *Poller) {
		p.OffsetFile = offsets
		p.Handle = func(m *Message, _ func()) Reply {
			if m.Text == "quick" {
				return Reply{Text: m.Text}
			}
			<-ready
			close(asked)
			<-g.stop // as an answer of a model ends that is interrupted: with nothing
			return Reply{}
		}
	})
	close(ready)
	<-asked
	g.end()
	second := api.startWith(func(p *Poller) { p.OffsetFile = offsets })
	api.until("the second gateway answers", func() bool { return second.Stats.Outbound.Load() == 1 })
	if sent := api.sent(); !slices.Equal(sent, []string{"quick", "slow"}) {
		t.Errorf("%q", sent)
	}
}

func TestNothingIsAnsweredWhileSettingsChange(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	g := api.startWith(func(p *Poller) {
		p.Handle = func(m *Message, _ func()) Reply {
			if m.Text == "first" {
				close(entered)
				<-leave
			}
			return Reply{Text: "old " + m.Text}
		}
	})
	api.write(1, "first")
	api.write(1, "second")
	<-entered
	changed := make(chan struct{})
	go func() {
		g.Between(func() { g.Handle = func(m *Message, _ func()) Reply { return Reply{Text: "new " + m.Text} } })
		close(changed)
	}()
	select {
	case <-changed:
		t.Error("they changed under an answer")
	case <-time.After(20 * time.Millisecond):
	}
	close(leave)
	<-changed
	api.write(1, "third")
	api.until("all are answered", func() bool { return g.Stats.Outbound.Load() == 3 })
	sent := api.sent()
	if sent[0] != "old first" || !strings.HasSuffix(sent[1], " second") || sent[2] != "new third" {
		t.Errorf("%q", sent)
	}
}

func TestAReplyThatHasBegunIsSentWholeBeforeAStop(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	api.delivery = 50 * time.Millisecond
	offsets := filepath.Join(t.TempDir(), "offset")
	set := func(p *Poller) {
		p.OffsetFile = offsets
		p.Handle = func(m *Message, _ func()) Reply { return Reply{Text: strings.Repeat(m.Text+" ", 2000)} }
	}
	api.write(1, "first")
	api.write(1, "second")
	g := api.startWith(set)
	api.until("the first piece is on its way", func() bool { return len(api.sent()) == 1 })
	g.end()
	whole := func(word string) bool { return strings.Count(strings.Join(api.sent(), " "), word) == 2000 }
	if !whole("first") || g.Stats.Outbound.Load() != 1 {
		t.Errorf("%d pieces were sent, %d replies counted", len(api.sent()), g.Stats.Outbound.Load())
	}
	second := api.startWith(set)
	api.until("the second is answered", func() bool { return second.Stats.Outbound.Load() == 1 })
	if !whole("first") || !whole("second") {
		t.Errorf("%d pieces", len(api.sent()))
	}
}

// It may be the new settings that end the outage: another proxy, another CA.
func TestAReloadDoesNotWaitForTheEndOfAnOutage(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	offsets := filepath.Join(t.TempDir(), "offset")
	set := func(p *Poller) { p.OffsetFile = offsets }
	g := api.startWith(set)
	api.until("it is ready", func() bool { return len(api.made("getMe")) == 1 })
	for range 100 {
		gone := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
		api.refuse("sendMessage", gone)
		api.refuse("getMe", gone)
	}
	api.write(1, "x")
	api.until("the reply is tried again", func() bool { return len(api.made("sendMessage")) >= 3 })
	ended := make(chan struct{})
	go func() {
		g.Between(func() { // as a reload does that brings another line
			if !stopped(g.stop) {
				close(g.stop)
			}
		})
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(testTime):
		t.Fatal("the reload waits")
	}
	if err := g.wait(); err != nil {
		t.Error(err)
	}
	api.mu.Lock()
	api.instead = nil
	api.mu.Unlock()
	before := len(api.sent())
	next := api.startWith(set)
	api.until("the next line answers", func() bool { return next.Stats.Outbound.Load() == 1 })
	if sent := api.sent()[before:]; !slices.Equal(sent, []string{"x"}) {
		t.Errorf("%q", sent)
	}
}
