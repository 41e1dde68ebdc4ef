//go:build telegram

package main

import (
	"os"
	"runtime"
	"strings"

	"slimdeploy/gateway/internal/procmem"
	"slimdeploy/gateway/internal/simulated"
)

// simulate lets a burst of messages through the gateway's message path, with Telegram in memory at its end.
func simulate(arguments []string) int {
	burst, kinds, asJSON, problem := parseSimulate(arguments)
	if problem != "" {
		return wrongUsage(problem)
	}
	offset, err := os.CreateTemp("", "picoclaw-simulate-*.offset") // in a folder of its own it would cost 8 KB of binary
	if err != nil {
		os.Stderr.WriteString("picoclaw: " + err.Error() + "\n")
		return exitFault
	}
	offset.WriteString(simulated.NoOffset)
	offset.Close()
	defer os.Remove(offset.Name())
	gateway := simulated.Start(simulated.New(kinds...), offset.Name(), tidied(giveBack()))
	result, err := gateway.Burst(burst)
	usage, unread := procmem.Read()
	var heap runtime.MemStats
	runtime.ReadMemStats(&heap)
	if err == nil {
		err = gateway.Stop()
	}

	report := simulated.Report{JSON: asJSON}
	result.Add(&report)
	if unread == nil { // a figure that can't be had is left out: a 0 would be taken for one
		report.Number("vmrss_kib", usage.RSS)
		report.Number("vmhwm_kib", usage.Peak)
	}
	report.Number("heap_bytes", int64(heap.HeapAlloc))
	report.Number("num_gc", int64(heap.NumGC))
	report.Decimal("gc_cpu_percent", 100*heap.GCCPUFraction, 3)
	os.Stdout.Write(report.Bytes())
	if err != nil {
		os.Stderr.WriteString("picoclaw: " + err.Error() + "\n")
	}
	if err != nil || !result.Whole() {
		return exitFault
	}
	return exitOK
}

func parseSimulate(arguments []string) (burst int, kinds []simulated.Kind, asJSON bool, problem string) {
	burst, kinds = simulated.UsualBurst, []simulated.Kind{simulated.Short}
	if text := os.Getenv("BURST"); text != "" {
		if burst, problem = simulated.ParseBurst(text); problem != "" {
			return 0, nil, false, "BURST: " + problem
		}
	}
	for len(arguments) > 0 {
		name, value, given := strings.Cut(arguments[0], "=")
		arguments = arguments[1:]
		if name == "--json" && !given {
			asJSON = true
			continue
		}
		if !given && len(arguments) > 0 {
			value, arguments = arguments[0], arguments[1:]
		}
		switch name {
		case "--burst":
			burst, problem = simulated.ParseBurst(value)
		case "--kinds":
			var err error
			if kinds, err = simulated.ParseKinds(value); err != nil {
				problem = err.Error()
			}
		default:
			problem = "simulate takes no " + name
		}
		if problem != "" {
			return 0, nil, false, problem
		}
	}
	return burst, kinds, asJSON, ""
}
