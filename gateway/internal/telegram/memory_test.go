package telegram

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// What one message may allocate, in bytes, from getUpdates to the answered sendMessage, TLS included. A long one may take
// what the project promises of all (it takes 60 to 140, of crypto/tls), a short one less.
const (
	mostPerShort = 64
	mostPerLong  = 512
)

func TestAMessageAllocatesLittle(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates too; run it without -race")
	}
	for _, c := range []struct {
		name  string
		batch int
		text  string
		most  uint64
	}{
		{"ten in a batch", 10, "short", mostPerShort},
		{"each by itself", 1, "short", mostPerShort},
		{"ten of 4 KiB in a batch", 10, "4k", mostPerLong},
		{"each of 4 KiB by itself", 1, "4k", mostPerLong},
		{"7 KiB of Cyrillic", 1, "cyrillic", mostPerLong},
		{"4 KiB of Markdown", 1, "markdown", mostPerLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := startPeerProcess(t)
			p.exchange(200, c.batch, 0, c.text)
			const messages = 2000
			before := allocated()
			p.exchange(messages, c.batch, 0, c.text)
			each := (allocated() - before) / messages
			t.Logf("%d bytes a message", each)
			if each > c.most {
				t.Errorf("a message allocates %d bytes, more than %d", each, c.most)
			}
		})
	}
}

// allocated is what was allocated since the start, in bytes.
func allocated() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.TotalAlloc
}

func TestADayOfPollingLeavesNothingBehind(t *testing.T) {
	p := startPeerProcess(t)
	// Half an hour for warming up; then a day, as 1,728 polls of 50 s. Every 50th brings a message.
	p.exchange(4, 1, 9, "short")
	before, routines := inUse(), settled(0)
	const polls, each = 24 * 60 * 60 / 50, 50
	p.exchange(polls/each, 1, each-1, "short")
	after, left := inUse(), settled(routines)
	t.Logf("heap in use: %d bytes before, %d after", before, after)
	if left != routines {
		t.Errorf("%d goroutines became %d", routines, left)
	}
	if after > before+16<<10 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
}

// inUse is what is reachable, in bytes.
func inUse() uint64 {
	debug.FreeOSMemory() // collects, and sweeps
	debug.FreeOSMemory() // what sync.Pools hold is gone only now
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// settled is how many goroutines there are when no more than wanted are left, or a second has gone by.
func settled(wanted int) (count int) {
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if count = runtime.NumGoroutine(); count <= wanted {
			break
		}
	}
	return count
}
