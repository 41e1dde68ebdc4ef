package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"slimdeploy/gateway/internal/procmem"
	"slimdeploy/gateway/internal/simulated"
)

var folder string // of this run of the tests

func TestMain(m *testing.M) {
	made, err := os.MkdirTemp("", "membench-test-")
	if err != nil {
		panic(err)
	}
	folder = made
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

// program is built as a board gets it, once.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(folder, "membench")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	build := exec.Command("go", "build", "-trimpath", "-tags", "smallbuf", "-ldflags", "-s -w", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", errors.New(string(out))
	}
	return path, nil
})

// finished runs it under a board's limits, with further variables.
func finished(t *testing.T, variables []string, arguments ...string) (code int, stdout, stderr string) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	command := exec.Command(path, arguments...)
	command.Stdout, command.Stderr = &out, &log
	command.Env = append(append(os.Environ(), "GOMEMLIMIT=5MiB", "GOGC=20", "GOMAXPROCS=1"), variables...)
	var failed *exec.ExitError
	if err := command.Run(); err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), out.String(), log.String()
}

func measurable(t *testing.T) {
	t.Helper()
	if _, err := procmem.Read(); err != nil {
		t.Skip("this system does not tell the resident set: " + err.Error())
	}
}

func TestAMeasurementTellsFivePhasesAndAVerdict(t *testing.T) {
	measurable(t)
	t.Parallel()
	code, stdout, stderr := finished(t, nil, "--burst", "300", "--budget", "20MiB")
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	if code != exitPass || len(lines) < 7 {
		t.Fatalf("%d, %q, %q", code, stdout, stderr)
	}
	for i, name := range []string{"1-baseline", "2-config-loaded", "3-bus-created", "4-after-burst", "5-steady-state"} {
		form := `^\[mem ` + name + ` *\] RSS= ?\d{4,} KB \(\d+\.\d\d MB\)  HeapAlloc= *\d+ B  HeapSys= *\d+ B  NumGC=\d+$`
		if !regexp.MustCompile(form).MatchString(lines[i]) || strings.IndexByte(lines[i], ']') != len("[mem 4-after-burst  ") {
			t.Errorf("line %d is %q", i+1, lines[i])
		}
	}
	for _, wanted := range []string{"produced=300", "consumed=300", "answered=300", "wrong=0", "budget_bytes=20971520"} {
		if !slices.Contains(lines, wanted) {
			t.Errorf("no %s in %q", wanted, stdout)
		}
	}
	if last := lines[len(lines)-1]; !regexp.MustCompile(
		`^PASS: 5-steady-state takes \d\.\d\d MiB, the budget is 20\.00 MiB; produced = consumed = answered = 300$`).MatchString(last) {
		t.Errorf("%q", last)
	}
}

func TestTheFiguresComeAsOneDocumentToo(t *testing.T) {
	measurable(t)
	t.Parallel()
	code, stdout, stderr := finished(t, []string{"BURST=110"}, "--json", "--kinds=all", "--budget=1MiB")
	var found struct {
		Phases []struct {
			Phase     string
			RSS       int64 `json:"rss_kib"`
			HeapAlloc int64 `json:"heap_alloc_bytes"`
			HeapSys   int64 `json:"heap_sys_bytes"`
			NumGC     *int  `json:"num_gc"`
		}
		Updates, Produced, Consumed, Answered int
		RSS                                   int64   `json:"vmrss_kib"`
		BytesPerMessage                       float64 `json:"bytes_per_message"`
		GCCPU                                 float64 `json:"gc_cpu_percent"`
		Verdict, Reason                       string
	}
	if err := json.Unmarshal([]byte(stdout), &found); err != nil || code != exitFail {
		t.Fatalf("%d, %v, %q, %q", code, err, stdout, stderr)
	}
	if found.Updates != 110 || found.Produced != 88 || found.Consumed != 88 || found.Answered != 88 || found.BytesPerMessage <= 0 ||
		found.GCCPU < 0 || found.Verdict != "FAIL" || !strings.Contains(found.Reason, "the budget is 1.00 MiB") {
		t.Errorf("%+v", found)
	}
	if len(found.Phases) != 5 || found.Phases[4].RSS != found.RSS {
		t.Fatalf("%+v", found)
	}
	for _, p := range found.Phases {
		if p.RSS < 500 || p.HeapAlloc == 0 || p.HeapSys < p.HeapAlloc || p.NumGC == nil {
			t.Errorf("%+v", p)
		}
	}
}

func TestAHeapProfileIsOneThatPprofReads(t *testing.T) {
	measurable(t)
	t.Parallel()
	profile := filepath.Join(t.TempDir(), "heap.pb.gz")
	if code, stdout, stderr := finished(t, nil, "--burst=50", "--heap-profile", profile); code != exitPass {
		t.Fatalf("%d, %q, %q", code, stdout, stderr)
	}
	out, err := exec.Command("go", "tool", "pprof", "-top", profile).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "slimdeploy/gateway/internal/") {
		t.Errorf("%v, %s", err, out)
	}
}

func TestNetHTTPIsNotLinked(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	linked := strings.Fields(string(out))
	if err != nil || !slices.Contains(linked, "slimdeploy/gateway/internal/telegram") {
		t.Fatal(err, linked)
	}
	for _, heavy := range []string{"net/http", "encoding/json", "testing", "regexp"} {
		if slices.Contains(linked, heavy) {
			t.Errorf("%s is linked", heavy)
		}
	}
}

func TestWrongUsageIsSaid(t *testing.T) {
	t.Parallel()
	for wanted, arguments := range map[string][]string{
		"there is no flag --nothing":    {"--nothing"},
		"there is no flag x":            {"x"},
		"not \"0\"":                     {"--burst", "0"},
		"not \"1e3\"":                   {"--burst=1e3"},
		"no kind of message \"short \"": {"--kinds", "short "},
		"not \"5GiB\"":                  {"--budget", "5GiB"},
		"not \"\"":                      {"--budget"},
		"--config takes a value":        {"--config"},
		"--heap-profile takes a value":  {"--heap-profile="},
	} {
		if _, problem := parse(arguments); !strings.Contains(problem, wanted) {
			t.Errorf("%q: %q", arguments, problem)
		}
	}
	if code, stdout, stderr := finished(t, []string{"BURST=many"}); code != exitUsage || stdout != "" || !strings.Contains(stderr, "BURST: ") {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
	if code, stdout, _ := finished(t, nil, "--help"); code != exitPass || stdout != usage {
		t.Errorf("%d, %q", code, stdout)
	}
	if code, stdout, stderr := finished(t, nil, "--config", "/nonexistent.json"); code != exitFail || !strings.Contains(stdout, "\nFAIL: ") ||
		!strings.Contains(stderr, "/nonexistent.json") {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
}

func TestSizesHaveUnits(t *testing.T) {
	t.Parallel()
	for text, wanted := range map[string]int64{
		"5MiB": 5 << 20, "3072KiB": 3 << 20, "3.5MB": 7 << 19, "1024": 1024, "2048B": 2048,
		"": 0, "MiB": 0, "5 MiB": 0, "-5MiB": 0, "0": 0, "NaN": 0, "5iMB": 0, "0x10": 0, "1e300MiB": 0,
	} {
		if size, err := parseSize(text); size != wanted || (err == nil) != (wanted > 0) {
			t.Errorf("%q: %d, %v", text, size, err)
		}
	}
}

func TestTheVerdictIsNeverBetterThanWhatWasMeasured(t *testing.T) {
	t.Parallel()
	whole := &simulated.Burst{Counts: simulated.Counts{Updates: 9, Produced: 9, Answered: 9}, Consumed: 9}
	lost := &simulated.Burst{Counts: simulated.Counts{Updates: 9, Produced: 9, Answered: 8}, Consumed: 9}
	twice := &simulated.Burst{Counts: simulated.Counts{Updates: 9, Produced: 9, Answered: 9, Wrong: 1}, Consumed: 9}
	for name, c := range map[string]struct {
		burst   *simulated.Burst
		rss     int64
		budget  int64
		unread  error
		failure string
		begins  string
		code    int
	}{
		"in the budget":       {whole, 3072, 3 << 20, nil, "", "PASS: 5-steady-state takes 3.00 MiB", exitPass},
		"a KiB too much":      {whole, 3073, 3 << 20, nil, "", "FAIL: 5-steady-state takes", exitFail},
		"no budget":           {whole, 9999, 0, nil, "", "PASS: produced = consumed = answered = 9; no budget", exitPass},
		"unreadable":          {whole, 0, 3 << 20, errors.New("no /proc"), "", "NOT MEASURED: the resident set can't be read: no /proc", exitNotMeasured},
		"unreadable, no goal": {whole, 0, 0, errors.New("no /proc"), "", "NOT MEASURED: ", exitNotMeasured},
		"a zero":              {whole, 0, 3 << 20, nil, "", "NOT MEASURED: ", exitNotMeasured},
		"one lost":            {lost, 1024, 3 << 20, nil, "", "FAIL: not every message", exitFail},
		"one twice":           {twice, 1024, 3 << 20, nil, "", "FAIL: not every message", exitFail},
		"lost and unreadable": {lost, 0, 3 << 20, errors.New("no /proc"), "", "FAIL: not every message", exitFail},
		"it ended early":      {nil, 1024, 3 << 20, nil, "no config", "FAIL: no config", exitFail},
		"late":                {whole, 1024, 3 << 20, nil, "not in time", "FAIL: not in time", exitFail},
	} {
		m := &measurement{options: options{budget: c.budget}, burst: c.burst, unread: c.unread, failure: c.failure, count: 1}
		m.phases[0].usage = procmem.Usage{RSS: c.rss, Peak: c.rss}
		text, code := m.tell()
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		if last := lines[len(lines)-1]; code != c.code || !strings.HasPrefix(last, c.begins) {
			t.Errorf("%s: %d, %q", name, code, last)
		}
		if got := strings.Contains(string(text), "vmrss_kib="+strconv.FormatInt(c.rss, 10)); got != (c.rss > 0) {
			t.Errorf("%s: %q", name, text)
		}
	}
}

func TestAPhaseWithoutAResidentSetSaysSo(t *testing.T) {
	t.Parallel()
	p := phase{name: "4-after-burst", usage: procmem.Usage{RSS: 3072}, heapAlloc: 690760, heapSys: 3899392, numGC: 86}
	const wanted = "[mem 4-after-burst  ] RSS= 3072 KB (3.00 MB)  HeapAlloc= 690760 B  HeapSys= 3899392 B  NumGC=86\n"
	if line := string(p.appendLine(nil)); line != wanted {
		t.Errorf("%q", line)
	}
	p.usage.RSS = 0
	if line := string(p.appendLine(nil)); !strings.HasPrefix(line, "[mem 4-after-burst  ] RSS= not measured  HeapAlloc=") {
		t.Errorf("%q", line)
	}
}
