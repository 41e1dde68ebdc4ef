package tidy

import (
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"
)

// warm is a Keeper whose start is over, and what counts its drops.
func warm(t *testing.T) (k *Keeper, drops *atomic.Int32) {
	t.Helper()
	quiet(t)
	drops = new(atomic.Int32)
	k = &Keeper{Drop: func() { drops.Add(1) }}
	for range youngRounds {
		k.Round()
	}
	// After 1, 2, 4 … 128 rounds; and one that comes later, because it has collected.
	for end := time.Now().Add(10 * time.Second); drops.Load() < 9; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(drops.Load())
		}
	}
	time.Sleep(50 * time.Millisecond) // until the next collection is waited for
	drops.Store(0)
	return k, drops
}

// quiet leaves no collections but the Keeper's own and the tests'.
func quiet(t *testing.T) {
	percent := debug.SetGCPercent(-1)
	t.Cleanup(func() { debug.SetGCPercent(percent) })
}

func TestPagesAreDroppedAfterTheFirstRoundAndWhenAllHasRun(t *testing.T) {
	quiet(t)
	var drops atomic.Int32
	k := &Keeper{Drop: func() { drops.Add(1) }}
	k.Round()
	if drops.Load() != 1 {
		t.Error(drops.Load())
	}
	for range warmRounds - 2 {
		k.Round()
	}
	if drops.Load() != 2 {
		t.Error(drops.Load())
	}
	before := collections()
	k.Round()
	if drops.Load() != 3 || collections() < before+cycles {
		t.Error(drops.Load(), collections()-before)
	}
	for range youngRounds - warmRounds {
		k.Round()
	}
	if drops.Load() != 8 { // after 8, 16, 32, 64 and 128 rounds
		t.Error(drops.Load())
	}
}

func TestRoundsThatAllocateNothingCostNothing(t *testing.T) {
	k, drops := warm(t)
	before := collections()
	for range 1000 {
		k.Round()
	}
	if drops.Load() != 0 || collections() != before {
		t.Error(drops.Load(), collections()-before)
	}
}

func TestPagesAreDroppedSoonAfterEachCollectionAlsoWithoutARound(t *testing.T) {
	_, drops := warm(t)
	for range 2 {
		runtime.GC()
		for end := time.Now().Add(10 * time.Second); drops.Load() == 0; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("no page was dropped")
			}
		}
		drops.Store(0)
		time.Sleep(10 * time.Millisecond) // until the next one is waited for
	}
}

func TestPagesAreDroppedFromTimeToTimeWhileThereIsWork(t *testing.T) {
	k, drops := warm(t)
	before := collections()
	for range 3 {
		k.dropped = k.dropped.Add(-kept)
		k.Round()
		k.Round()
	}
	if drops.Load() != 3 || collections() != before {
		t.Error(drops.Load(), collections()-before)
	}
}

func TestGarbageIsCollectedWhenSomeHasGathered(t *testing.T) {
	k, drops := warm(t)
	before := collections()
	for range 100 {
		garbage = make([]byte, gathered/50)
		k.Round()
	}
	if made := collections() - before; made != 2 || drops.Load() < 2 {
		t.Error(made, drops.Load())
	}
}

var garbage []byte

func collections() int {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.NumGC)
}

// What the runtime reserves without profiling stands only in a program that does not link a profiler, as tests do; so the
// limit is held here only against what this program reserves.
func TestTheLimitDoesNotCountWhatIsReservedForProfiles(t *testing.T) {
	if os.Getenv("TIDY_TEST_LIMIT") == "" {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		again := exec.Command(exe, "-test.run=^"+t.Name()+"$")
		again.Env = append(os.Environ(), "TIDY_TEST_LIMIT=1", "GOMEMLIMIT=64MiB")
		if out, err := again.CombinedOutput(); err != nil {
			t.Fatalf("%s", out)
		}
		return
	}
	debug.SetGCPercent(-1)
	runtime.MemProfileRate = 1
	garbage = make([]byte, 64) // is sampled, and has the table reserved
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	Limit()
	if got, reserved := debug.SetMemoryLimit(-1), int64(stats.BuckHashSys); reserved < 1<<20 || got < 64<<20+reserved {
		t.Errorf("the limit is %d, %d are reserved", got, reserved)
	}
}
