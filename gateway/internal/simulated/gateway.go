package simulated

import (
	"errors"
	"runtime"
	"strings"
	"time"

	"slimdeploy/gateway/internal/health"
	"slimdeploy/gateway/internal/reply"
	"slimdeploy/gateway/internal/telegram"
	"slimdeploy/gateway/internal/wire"
)

const (
	startTime = 30 * time.Second      // a burst's bound is this
	eachTime  = 20 * time.Millisecond // and this for each update; a slow board needs 1 ms
	readyFor  = telegram.PollTime + 45*time.Second
)

var errSlow = errors.New("the burst was not fetched in time")

// Gateway is the gateway's message path with a Telegram before it.
type Gateway struct {
	Telegram *Telegram
	Stats    *health.Stats

	stop  chan struct{}
	ended chan error
}

// Start lets the message path run on a simulated Telegram. offsetFile is where the offset is kept, as the gateway keeps it;
// tidy is called after each round, nil for nothing.
func Start(peer *Telegram, offsetFile string, tidy func()) *Gateway {
	bot := telegram.NewBot(wire.Endpoint{Host: "simulated", Port: "80"}, Token, nil)
	bot.Over(peer.Dial)
	stats := health.NewStats("simulated", readyFor)
	replier := &reply.Replier{Stats: stats, Provider: &provider{}}
	poller := &telegram.Poller{
		Bot:   bot,
		Stats: stats,
		Handle: func(message *telegram.Message, typing func()) telegram.Reply {
			answer, markdown := replier.To(message.Chat, message.Text, typing)
			return telegram.Reply{Text: answer, Markdown: markdown}
		},
		OffsetFile: offsetFile,
		Tidy:       tidy,
	}
	g := &Gateway{peer, stats, make(chan struct{}), make(chan error, 1)}
	go func() { g.ended <- poller.Run(g.stop) }()
	return g
}

// Stop ends the message path in order.
func (g *Gateway) Stop() error {
	close(g.stop)
	return <-g.ended
}

// Burst is what became of a number of updates. The first four count updates.
type Burst struct {
	Counts
	Consumed int64 // messages that the gateway took for it to answer
	Errors   int64 // calls that failed
	Mallocs  int64 // allocations, of the whole process
	Bytes    int64 // allocated, of the whole process
	Took     time.Duration
}

// Whole tells whether each message that deserves an answer was produced, consumed and answered, just once.
func (b *Burst) Whole() bool {
	return b.Produced == b.Consumed && b.Produced == b.Answered && b.Wrong == 0 && b.Errors == 0
}

// Burst puts up n updates and waits until they are confirmed, which they are when what deserves an answer has it.
func (g *Gateway) Burst(n int) (*Burst, error) {
	counts, consumed, failed := g.Telegram.Counts(), g.Stats.Inbound.Load(), g.Stats.Errors.Load()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	g.Telegram.Deliver(n)
	whole := g.Telegram.Wait(startTime + time.Duration(n)*eachTime)
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	now := g.Telegram.Counts()
	burst := &Burst{
		Counts: Counts{
			now.Updates - counts.Updates, now.Produced - counts.Produced, now.Answered - counts.Answered, now.Wrong - counts.Wrong,
		},
		Consumed: g.Stats.Inbound.Load() - consumed,
		Errors:   g.Stats.Errors.Load() - failed,
		Mallocs:  int64(after.Mallocs - before.Mallocs),
		Bytes:    int64(after.TotalAlloc - before.TotalAlloc),
		Took:     took,
	}
	if !whole {
		return burst, errSlow
	}
	return burst, nil
}

// provider echoes as reply.Echo does. Two kinds it answers as a model would: Markdown with Markdown, and a wish for a story
// with one that no single message holds.
type provider struct{ story string }

const (
	storyWish  = "Tell me a long story"
	storyLines = 90 // of 64 characters: more than one message's 4,096, less than two
)

// Slow is false.
func (*provider) Slow() bool { return false }

// Answer is text, but for the two.
func (p *provider) Answer(chat int64, text string) (answer string, markdown bool) {
	if text == storyWish {
		if p.story == "" {
			var story []byte
			for range storyLines {
				story = append(append(story, line64[:63]...), '\n')
			}
			p.story = string(story)
		}
		return p.story, true
	}
	answer, _ = reply.Echo{}.Answer(chat, text)
	return answer, strings.HasPrefix(text, "# ")
}
