// Package tidy keeps what the process holds near what it needs: it collects garbage when some has gathered, and has the
// binary's own pages dropped when a collection has run, because the collector's code and tables are a third of them, and
// from time to time while it works, because of what is run seldom: a TLS handshake alone takes 600 KiB of them.
//
// How pages are dropped is package pages' business; when there is time for it, the caller's.
package tidy

import (
	"runtime"
	"runtime/debug"
	"time"
)

const (
	// gathered is how much may be allocated before it is collected, in bytes. The runtime itself would wait for 800 KiB
	// (GOGC=20), and all of it would stay resident.
	gathered = 64 << 10
	// warmRounds is after how many rounds nearly every part of the program has run that ever will.
	warmRounds = 4
	// youngRounds is how long pages are dropped at each doubling of the rounds.
	youngRounds = 128
	// cycles of the collector until all of its bookkeeping is resident: it has four arenas of mark bits that it uses by
	// turns, and clears each from its second use on (runtime/mheap.go, gcBitsArenas). It would come to that in ten
	// minutes by itself; so what is read after it is warm is what stays.
	cycles = 5
	// kept is how long pages are kept while there is work. To drop them, and to bring back those that are needed, takes a
	// board some 3 ms.
	kept = 3 * time.Second
	// settle is how long after a collection pages are dropped: its sweeping goes on for a while.
	settle = 500 * time.Millisecond
)

// Keeper does so. Round is for one goroutine.
type Keeper struct {
	// Drop drops the binary's own pages; what is needed of them comes back. It may be called by any goroutine, and by two.
	Drop func()

	rounds    int
	allocated uint64 // since the start, when the last collection was made
	dropped   time.Time
}

// Round is called when a round of work is done and nothing else is due.
func (k *Keeper) Round() {
	k.rounds++
	switch {
	case k.rounds == 1:
		k.drop() // what only the start needed
		k.watch()
	case k.rounds == warmRounds:
		for range cycles - 1 {
			runtime.GC()
		}
		k.collect()
		k.garbage() // counts from here on
	case k.rounds > warmRounds && k.garbage():
		k.collect()
	case k.young() || time.Since(k.dropped) >= kept:
		k.drop()
	}
}

// young tells whether pages are to be dropped whenever they were last: much runs only in the first rounds, and a gateway's
// figures should soon be those that it keeps.
func (k *Keeper) young() bool {
	return k.rounds <= youngRounds && k.rounds&(k.rounds-1) == 0
}

func (k *Keeper) collect() {
	debug.FreeOSMemory() // collects, and gives what is free back to the kernel
	k.drop()
}

func (k *Keeper) drop() {
	k.dropped = time.Now()
	k.Drop()
}

// watch has pages dropped after each collection, whoever made it. The runtime makes one every two minutes at the least,
// mostly while a poll waits, and what it brings in would stay until that ends.
func (k *Keeper) watch() {
	runtime.AddCleanup(new(mark), func(k *Keeper) {
		time.AfterFunc(settle, func() {
			k.Drop()
			k.watch()
		})
	}, k)
}

// mark is what nothing refers to: it is gone when a collection has run. It is too large for the runtime to put several
// such into one object, which would be gone only with the last of them.
type mark struct{ _ [32]byte }

// garbage tells whether enough has gathered since it said so last.
func (k *Keeper) garbage() bool {
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	if now.TotalAlloc-k.allocated < gathered {
		return false
	}
	k.allocated = now.TotalAlloc
	return true
}

// Limit makes GOMEMLIMIT count what can become resident. The runtime of a program that is not profiled reserves 1.4 MiB for
// profiles all the same (the table of runtime/mprof.go, of which it touches one page) and counts them; under a limit of
// 5 MiB that is what is missing, and without this it would collect after every dozen messages.
func Limit() {
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	debug.SetMemoryLimit(debug.SetMemoryLimit(-1) + int64(now.BuckHashSys))
}
