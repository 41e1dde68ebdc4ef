package reply

import (
	"strings"
	"testing"
	"time"

	"slimdeploy/gateway/internal/health"
)

func replier() *Replier {
	return &Replier{Stats: health.NewStats("1.2", time.Minute), Provider: Echo{}}
}

func TestCommandsAreAnsweredAndTheRestGoesToTheProvider(t *testing.T) {
	for text, wanted := range map[string]string{
		"/ping":             "pong",
		"/ping@slim_bot":    "pong",
		"/ping are you on":  "pong",
		"/help@slim_bot x":  help,
		"/pingpong":         "/pingpong",
		"/Ping":             "/Ping",
		"ping":              "ping",
		" /ping":            " /ping",
		"a@b.example /ping": "a@b.example /ping",
		"🙂\n":               "🙂\n",
		"":                  "",
	} {
		got, markdown := replier().To(1, text, func() { t.Errorf("%q is shown as typing", text) })
		if got != wanted || markdown {
			t.Errorf("%q is answered with %q", text, got)
		}
	}
	if hello, _ := replier().To(1, "/start payload", nil); !strings.HasSuffix(hello, help) {
		t.Error(hello)
	}
}

func TestStatusAndMemTellFigures(t *testing.T) {
	r := replier()
	r.Stats.Inbound.Add(7)
	if status, _ := r.To(1, "/status", nil); !strings.Contains(status, "picoclaw 1.2, up 0s") || !strings.Contains(status, "received 7") {
		t.Error(status)
	}
	if memory, _ := r.To(1, "/mem", nil); !strings.Contains(memory, "VmRSS ") || !strings.Contains(memory, "Go heap ") {
		t.Error(memory)
	}
}

type slow struct{ typed *bool }

func (slow) Slow() bool { return true }

func (s slow) Answer(int64, string) (string, bool) {
	if !*s.typed {
		return "nobody saw it coming", false
	}
	return "**done**", true
}

func TestASlowProviderIsAnnounced(t *testing.T) {
	typed := false
	r := &Replier{Stats: health.NewStats("x", time.Minute), Provider: slow{&typed}}
	if answer, markdown := r.To(1, "think", func() { typed = true }); answer != "**done**" || !markdown {
		t.Error(answer, markdown)
	}
}
