//go:build !nohealth

package health

import (
	"io"
	"net/http"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sample is one metric as a scraper takes it.
type sample struct {
	kind  string
	value float64
}

var (
	metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	sampleLine = regexp.MustCompile(`^([a-zA-Z0-9_:]+)(\{[a-z]+="(?:[^"\\\n]|\\[\\"n])*"\})? ([0-9]+(?:\.[0-9]+)?)$`)
)

// scraped reads the text format by its rules: a HELP line, a TYPE line and then a sample for each metric, each name once.
func scraped(t *testing.T, text string) map[string]sample {
	t.Helper()
	if !strings.HasSuffix(text, "\n") {
		t.Error("the last line does not end with a line feed")
	}
	found := map[string]sample{}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines)%3 != 0 {
		t.Fatalf("%d lines", len(lines))
	}
	for i := 0; i < len(lines); i += 3 {
		help, kind, line := strings.SplitN(lines[i], " ", 4), strings.Split(lines[i+1], " "), sampleLine.FindStringSubmatch(lines[i+2])
		if len(help) != 4 || len(kind) != 4 || line == nil || help[1] != "HELP" || kind[1] != "TYPE" || help[2] != line[1] || kind[2] != line[1] {
			t.Fatalf("%q", lines[i:i+3])
		}
		name := line[1]
		if _, twice := found[name]; twice || !metricName.MatchString(name) || !strings.HasPrefix(name, "picoclaw_") {
			t.Errorf("the name %q", name)
		}
		if isTotal := strings.HasSuffix(name, "_total"); isTotal != (kind[3] == "counter") || (!isTotal && kind[3] != "gauge") {
			t.Errorf("%s is a %s", name, kind[3])
		}
		value, err := strconv.ParseFloat(line[3], 64)
		if err != nil {
			t.Error(err)
		}
		found[name] = sample{kind[3], value}
	}
	return found
}

func TestAScraperReadsWhatTheGatewayDidAndTakes(t *testing.T) {
	t.Parallel()
	stats := NewStats("1.2.3", time.Minute)
	start := stats.started
	stats.nowFunc = func() time.Time { return start.Add(61*time.Second + 5*time.Millisecond) }
	stats.Inbound.Store(7)
	stats.Outbound.Store(6)
	stats.Refused.Store(5)
	stats.Errors.Store(4)
	response, err := http.Get("http://" + serve(t, stats) + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 || response.ContentLength != int64(len(text)) {
		t.Errorf("%d, %d of %d bytes, %v", response.StatusCode, len(text), response.ContentLength, err)
	}
	if kind := response.Header.Get("Content-Type"); kind != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("Content-Type %q", kind)
	}
	if !strings.Contains(string(text), "\npicoclaw_info{version=\"1.2.3\"} 1\n") {
		t.Error("the version is not told")
	}
	found := scraped(t, string(text))
	for name, wanted := range map[string]float64{
		"picoclaw_inbound_messages_total": 7, "picoclaw_outbound_messages_total": 6, "picoclaw_refused_messages_total": 5,
		"picoclaw_errors_total": 4, "picoclaw_ready": 0, "picoclaw_uptime_seconds": 61.005,
	} {
		if got, there := found[name]; !there || got.value != wanted {
			t.Errorf("%s is %v", name, got)
		}
	}
	if heap := found["picoclaw_heap_bytes"].value; heap < 10e3 || heap > found["picoclaw_heap_reserved_bytes"].value {
		t.Errorf("the heap takes %.0f bytes", heap)
	}
	if runtime.GOOS == "linux" {
		rss, peak := found["picoclaw_resident_memory_bytes"].value, found["picoclaw_resident_memory_peak_bytes"].value
		if rss < 1<<20 || peak < rss || rss > 1<<32 {
			t.Errorf("%.0f bytes are resident, %.0f at most", rss, peak)
		}
	}
}

func TestTheCollectorsTimeNeverFalls(t *testing.T) {
	stats := NewStats("dev", time.Minute)
	last := scraped(t, string(stats.AppendMetrics(nil)))
	for clock := range 4 {
		for range 20 {
			runtime.GC()
		}
		found := scraped(t, string(stats.AppendMetrics(nil)))
		if found["picoclaw_gc_cycles_total"].value < last["picoclaw_gc_cycles_total"].value+20 {
			t.Errorf("20 collections are not counted: %v, then %v", last, found)
		}
		before, now := last["picoclaw_gc_cpu_seconds_total"].value, found["picoclaw_gc_cpu_seconds_total"].value
		if now < before || now > 60*float64(runtime.NumCPU()) {
			t.Errorf("it was %g s, and is %g", before, now)
		}
		last = found
		if clock == 1 { // somebody sets the board's clock back by an hour
			stats.nowFunc = func() time.Time { return time.Now().Round(0).Add(-time.Hour) }
		}
	}
	if last["picoclaw_gc_cpu_seconds_total"].value == 0 {
		t.Error("80 collections took no time")
	}
}

func TestAVersionCannotBreakTheFormat(t *testing.T) {
	stats := NewStats("a\"b\\c\nd", time.Minute)
	text := string(stats.AppendMetrics(nil))
	scraped(t, text)
	if wanted := `picoclaw_info{version="a\"b\\c\nd"} 1` + "\n"; !strings.Contains(text, wanted) {
		t.Errorf("%.200q", text)
	}
}

func TestAScrapeAllocatesNoMoreThanReadingProcDoes(t *testing.T) {
	stats := NewStats("dev", time.Minute)
	answer := make([]byte, 0, 3072)
	var before, after runtime.MemStats
	const times = 100
	stats.AppendMetrics(answer)
	runtime.ReadMemStats(&before)
	for range times {
		if got := stats.AppendMetrics(answer); len(got) > cap(answer)-200 {
			t.Fatalf("%d bytes and the head do not fit what the server takes for them", len(got))
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / times; each > 5000 { // 128 without the race detector, which keeps a buffer of 4 KiB on the heap
		t.Errorf("a scrape allocates %d bytes", each)
	} else {
		t.Logf("a scrape allocates %d bytes, and answers with %d", each, len(stats.AppendMetrics(nil)))
	}
}
