// Package reply decides what a message is answered with: a command of the gateway's own, or what a provider says.
// It knows nothing of channels.
package reply

import (
	"runtime"
	"strconv"
	"strings"
	"time"

	"slimdeploy/gateway/internal/health"
	"slimdeploy/gateway/internal/procmem"
)

// Provider answers what is no command.
type Provider interface {
	// Slow tells whether an answer takes so long that its user should see that it comes.
	Slow() bool
	// Answer answers text in a chat. markdown says that the answer is marked up.
	Answer(chat int64, text string) (answer string, markdown bool)
}

// Echo is the provider that sends back what it gets.
type Echo struct{}

// Slow is false.
func (Echo) Slow() bool { return false }

// Answer is text.
func (Echo) Answer(_ int64, text string) (string, bool) { return text, false }

// Replier answers messages.
type Replier struct {
	Stats    *health.Stats
	Provider Provider
}

const help = `/help: this text
/ping: am I alive?
/status: version, uptime, messages so far
/mem: how much memory I use
Everything else is a message to me.`

// To is the answer to text; typing is called before one that takes time.
func (r *Replier) To(chat int64, text string, typing func()) (answer string, markdown bool) {
	if strings.HasPrefix(text, "/") {
		command := text
		if end := strings.IndexAny(text, " \n@"); end > 0 { // in groups a command may name its bot: /ping@name_bot
			command = text[:end]
		}
		switch command {
		case "/start":
			return "Hello! I am a small gateway on a small board.\n\n" + help, false
		case "/help":
			return help, false
		case "/ping":
			return "pong", false
		case "/status":
			return r.status(), false
		case "/mem":
			return memory(), false
		}
	}
	if r.Provider.Slow() {
		typing()
	}
	return r.Provider.Answer(chat, text)
}

func (r *Replier) status() string {
	s := r.Stats
	return "picoclaw " + s.Version + ", up " + s.Uptime().Round(time.Second).String() +
		"\nreceived " + strconv.FormatInt(s.Inbound.Load(), 10) +
		", answered " + strconv.FormatInt(s.Outbound.Load(), 10) +
		", refused " + strconv.FormatInt(s.Refused.Load(), 10) +
		", errors " + strconv.FormatInt(s.Errors.Load(), 10)
}

// memory tells what the kernel counts and what Go holds of it.
func memory() string {
	var heap runtime.MemStats
	runtime.ReadMemStats(&heap)
	text := "Go heap " + kib(int64(heap.HeapAlloc>>10)) + " of " + kib(int64(heap.HeapSys>>10)) +
		", " + strconv.FormatUint(uint64(heap.NumGC), 10) + " collections"
	usage, err := procmem.Read()
	if err != nil {
		return text + "\n" + err.Error()
	}
	return "VmRSS " + kib(usage.RSS) + ", VmHWM " + kib(usage.Peak) +
		"\nRssAnon " + kib(usage.Anon) + ", RssFile " + kib(usage.File) + "\n" + text
}

func kib(size int64) string { return strconv.FormatInt(size, 10) + " KiB" }
