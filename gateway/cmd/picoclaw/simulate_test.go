package main

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestASimulationTellsWhatAMessageTakes(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := finished(t, "simulate", "--burst", "300")
	lines := strings.Split(stdout, "\n")
	if code != exitOK || strings.Contains(stderr, "level=warn") {
		t.Fatalf("%d, %q, %q", code, stdout, stderr)
	}
	for _, wanted := range []string{"updates=300", "produced=300", "consumed=300", "answered=300", "wrong=0", "errors=0"} {
		if !slices.Contains(lines, wanted) {
			t.Errorf("no %s in %q", wanted, stdout)
		}
	}
	for _, wanted := range []string{"allocations_per_message", "bytes_per_message", "took_us", "heap_bytes", "num_gc", "gc_cpu_percent"} {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, wanted+"=") }) {
			t.Errorf("no %s in %q", wanted, stdout)
		}
	}
}

func TestASimulationOfEveryKindIsOneDocument(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := finished(t, "simulate", "--json", "--kinds=all", "--burst=200")
	var found struct {
		Updates, Produced, Consumed, Answered, Wrong, Errors int
		BytesPerMessage                                      float64 `json:"bytes_per_message"`
	}
	if err := json.Unmarshal([]byte(stdout), &found); err != nil || code != exitOK {
		t.Fatalf("%d, %v, %q, %q", code, err, stdout, stderr)
	}
	if found.Updates != 200 || found.Produced != 160 || found.Consumed != 160 || found.Answered != 160 || found.Wrong != 0 ||
		found.Errors != 0 || found.BytesPerMessage <= 0 {
		t.Errorf("%+v", found)
	}
}

func TestAGatewayThatIsToSimulateNeedsNoConfig(t *testing.T) {
	t.Parallel()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	gateway := exec.Command(path, "gateway", "--config", "/nonexistent.json")
	gateway.Env = append(gateway.Environ(), "SIMULATE=1", "BURST=77")
	out, err := gateway.Output()
	if err != nil || !strings.Contains(string(out), "answered=77\n") {
		t.Errorf("%v, %q", err, out)
	}
}

func TestASimulationThatCannotBeIsWrongUsage(t *testing.T) {
	t.Parallel()
	for wanted, arguments := range map[string][]string{
		"simulate takes no --config": {"--config", "x"},
		"simulate takes no x":        {"x"},
		"not \"0\"":                  {"--burst", "0"},
		"not \"10000001\"":           {"--burst=10000001"},
		"there is no kind":           {"--kinds", "photos"},
	} {
		code, stdout, stderr := finished(t, append([]string{"simulate"}, arguments...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, wanted) {
			t.Errorf("%q: %d, %q, %q", arguments, code, stdout, stderr)
		}
	}
}
