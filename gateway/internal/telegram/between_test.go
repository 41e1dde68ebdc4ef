package telegram

import (
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
