package tidy

import (
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"testing"
)

// warm is a Keeper whose start is over, and what counts its drops.
func warm(t *testing.T) (k *Keeper, drops *int) {
	t.Helper()
	quiet(t)
	drops = new(int)
	k = &Keeper{Drop: func() { *drops++ }}
	for range youngRounds {
		k.Round()
	}
	*drops = 0
	return k, drops
}

// quiet leaves no collections but the Keeper's own and the tests'.
func quiet(t *testing.T) {
	percent := debug.SetGCPercent(-1)
	t.Cleanup(func() { debug.SetGCPercent(percent) })
}

func TestPagesAreDroppedAfterTheFirstRoundAndWhenAllHasRun(t *testing.T) {
	quiet(t)
	drops := 0
	k := &Keeper{Drop: func() { drops++ }}
	k.Round()
	if drops != 1 {
		t.Error(drops)
	}
	for range warmRounds - 2 {
		k.Round()
	}
	if drops != 2 {
		t.Error(drops)
	}
	before := collections()
	k.Round()
	if drops != 3 || collections() < before+cycles {
		t.Error(drops, collections()-before)
	}
	for range youngRounds - warmRounds {
		k.Round()
	}
	if drops != 8 { // after 8, 16, 32, 64 and 128 rounds
		t.Error(drops)
	}
}

func TestRoundsThatAllocateNothingCostNothing(t *testing.T) {
	k, drops := warm(t)
	before := collections()
	for range 1000 {
		k.Round()
	}
	if *drops != 0 || collections() != before {
		t.Error(*drops, collections()-before)
	}
}

func TestPagesAreDroppedWhenTheRuntimeHasCollected(t *testing.T) {
	k, drops := warm(t)
	runtime.GC()
	k.Round()
	k.Round()
	if *drops != 1 {
		t.Error(*drops)
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
	if *drops != 3 || collections() != before {
		t.Error(*drops, collections()-before)
	}
}

func TestGarbageIsCollectedWhenSomeHasGathered(t *testing.T) {
	k, drops := warm(t)
	before := collections()
	for range 100 {
		garbage = make([]byte, gathered/50)
		k.Round()
	}
	if made := collections() - before; made != 2 || *drops != 2 {
		t.Error(made, *drops)
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
