package telegram

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slimdeploy/gateway/internal/sizes"
)

func TestAKillInTheMiddleOfABatchAnswersNothingTwice(t *testing.T) {
	file := filepath.Join(t.TempDir(), "offset")
	if err := os.WriteFile(file, []byte("12345 700000003\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	api := newBotAPI(t)
	for chat, text := range []string{"answered", "answered too", "new"} {
		api.write(int64(chat+1), text)
	}
	api.startWith(func(p *Poller) { p.OffsetFile = file })
	api.until("the new one is answered", func() bool { return len(api.sent()) > 0 })
	if sent := api.sent(); len(sent) != 1 || sent[0] != "new" {
		t.Errorf("%q", sent)
	}
}

func TestTheOffsetIsKeptAfterEachMessage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "offset")
	api := newBotAPI(t)
	for chat := range 3 {
		api.write(int64(chat+1), "x")
	}
	api.startWith(func(p *Poller) { p.OffsetFile = file })
	api.until("all are answered", func() bool { return len(api.sent()) == 3 })
	api.until("it is kept", func() bool { text, _ := os.ReadFile(file); return strings.TrimSpace(string(text)) == "12345 700000004" })
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
}

// keptIn is what a file with an offset says to a process of the bot.
func keptIn(t *testing.T, file, bot string) int64 {
	t.Helper()
	f := offsetFile{path: file}
	defer f.close()
	offset, wait := f.open(bot)
	if wait {
		t.Error("the file is taken")
	}
	return offset
}

func TestAnOffsetOfAnotherBotOrNoneIsNotUsed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "offset")
	if keptIn(t, file, "1") != 0 || keptIn(t, "", "1") != 0 {
		t.Error("an offset out of nowhere")
	}
	for text, wanted := range map[string]int64{
		"1 5": 5, "1 5\n": 5, "2 5": 0, "": 0, "x": 0, "1": 0, "1 x": 0, "1 -4": 0, "- 0": 0, "1 7" + strings.Repeat(" ", 90) + "\n": 7,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := keptIn(t, file, "1"); got != wanted {
			t.Errorf("%q is %d", text, got)
		}
		if left, err := os.ReadFile(file); err != nil || len(left) != offsetLine || !strings.HasPrefix(string(left), "1 ") {
			t.Errorf("%q became %q, %v", text, left, err)
		}
	}
}

// A board without a battery for its clock can't tell how old the file is; what Telegram numbers anew is new all the same.
func TestUpdatesThatAreNumberedAnewAreAnsweredWhateverTheClockSays(t *testing.T) {
	t.Parallel()
	for _, offset := range []string{"999000111", "700000102", "17"} {
		file := filepath.Join(t.TempDir(), "offset")
		if err := os.WriteFile(file, []byte("12345 "+offset), 0o600); err != nil {
			t.Fatal(err)
		}
		api := newBotAPI(t)
		api.write(1, "one")
		api.write(1, "two")
		g := api.startWith(func(p *Poller) { p.OffsetFile = file })
		api.until("both are answered", func() bool { return g.Stats.Outbound.Load() == 2 })
		if first := api.made("getUpdates")[0]; first.Offset != 0 {
			t.Errorf("%s: an offset of which nobody knows the age confirms updates: %d", offset, first.Offset)
		}
	}
}

func TestALongBatchOfWhichAllWasAnsweredIsConfirmedAndNoMore(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "offset")
	if err := os.WriteFile(file, []byte("12345 700000051"), 0o600); err != nil {
		t.Fatal(err)
	}
	api := newBotAPI(t)
	for range 50 {
		api.write(1, "old")
	}
	api.write(1, "new")
	api.startWith(func(p *Poller) { p.OffsetFile = file })
	api.until("all is confirmed", func() bool {
		polls := api.made("getUpdates")
		return len(polls) > 0 && polls[len(polls)-1].Offset == 700_000_052
	})
	if sent := api.sent(); !slices.Equal(sent, []string{"new"}) {
		t.Errorf("%q", sent)
	}
	if polls := len(api.made("getUpdates")); polls > 50/sizes.Updates+3 {
		t.Errorf("%d polls", polls)
	}
}

func TestTwoGatewaysOfOneFolderDoNotAnswerAtOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "offset")
	api := newBotAPI(t)
	first := api.startWith(func(p *Poller) { p.OffsetFile = file })
	api.until("the first one polls", func() bool { return first.Stats.Ready() })
	second := api.startWith(func(p *Poller) { p.OffsetFile = file })
	api.until("the second one waits", func() bool { state, _ := second.state(); return state == "conflict" })
	if _, detail := second.state(); !strings.Contains(detail, "another gateway of this bot runs from the same folder") {
		t.Error(detail)
	}
	api.write(1, "x")
	api.until("it is answered", func() bool { return first.Stats.Outbound.Load() == 1 })
	if len(api.made("getMe")) != 1 {
		t.Error("the second one does not wait")
	}
	first.end()
	api.write(1, "y")
	api.until("the second one takes over", func() bool { return second.Stats.Outbound.Load() == 1 })
	third := api.startWith(func(p *Poller) { p.OffsetFile = file })
	api.until("the third one waits", func() bool { state, _ := third.state(); return state == "conflict" })
	if took := third.end(); took > 500*time.Millisecond {
		t.Errorf("one that waits took %v to stop", took)
	}
	if sent := api.sent(); !slices.Equal(sent, []string{"x", "y"}) {
		t.Errorf("%q", sent)
	}
}

// Two take the file by turns, and each counts on from what it finds: no turn may be lost.
func TestAnOffsetIsReadWhenNobodyElseCanWriteIt(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "offset")
	const turns = 2000
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			for left := turns; left > 0; {
				f := offsetFile{path: file}
				if offset, wait := f.open("1"); !wait {
					f.save("1", offset+1)
					f.close()
					left--
				}
			}
		})
	}
	both.Wait()
	if got := keptIn(t, file, "1"); got != 2*turns {
		t.Errorf("%d of %d turns were lost", 2*turns-got, 2*turns)
	}
}

func TestAnotherBotOfTheFolderGoesOnWithoutAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "offset")
	first, second := offsetFile{path: file}, offsetFile{path: file}
	defer first.close()
	if offset, wait := first.open("1"); offset != 0 || wait {
		t.Error(offset, wait)
	}
	first.save("1", 9)
	if offset, wait := second.open("2"); offset != 0 || wait {
		t.Error(offset, wait)
	}
	second.save("2", 5)
	if _, wait := (&offsetFile{path: file}).open("1"); !wait {
		t.Error("a second gateway of the first bot does not wait")
	}
	first.close()
	if got := keptIn(t, file, "1"); got != 9 {
		t.Errorf("the first one's is %d", got)
	}
}

func TestAnOffsetThatCannotBeKeptIsSaidOnceAndMessagesGoOn(t *testing.T) {
	for name, file := range map[string]string{
		"no folder": filepath.Join(t.TempDir(), "none", "offset"),
		"full disk": "/dev/full", // each write fails with ENOSPC
	} {
		if _, err := os.Stat("/dev/full"); err != nil {
			t.Skip("there is no /dev/full")
		}
		api := newBotAPI(t)
		before := strings.Count(log.String(), "the offset can't be kept")
		g := api.startWith(func(p *Poller) { p.OffsetFile = file })
		for range 5 {
			api.write(1, "x")
		}
		api.until("all are answered", func() bool { return g.Stats.Outbound.Load() == 5 })
		g.end()
		said := func() int { return strings.Count(log.String(), "the offset can't be kept") - before }
		api.until("it is said", func() bool { return said() > 0 })
		if said() != 1 {
			t.Errorf("%s: it is said %d times", name, said())
		}
	}
}
