package health

import (
	"runtime"
	"strconv"
	"time"

	"slimdeploy/gateway/internal/procmem"
)

// metricsType is the media type of Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats,
// "Text-based format").
const metricsType = "text/plain; version=0.0.4; charset=utf-8"

// AppendMetrics appends what GET /metrics answers with, in Prometheus' text format 0.0.4: for each metric a HELP line, a
// TYPE line and one sample (prometheus.io/docs/instrumenting/exposition_formats). Memory is left out where the kernel
// does not tell it: a 0 would be taken for a figure.
func (s *Stats) AppendMetrics(to []byte) []byte {
	// runtime/metrics would tell the same, for 12 KB of binary and 140 KiB of resident memory where it is scraped.
	var heap runtime.MemStats
	runtime.ReadMemStats(&heap)
	to = append(to, "# HELP picoclaw_info The version of this gateway.\n# TYPE picoclaw_info gauge\npicoclaw_info{version="...)
	to = appendLabel(to, s.Version)
	to = append(to, "} 1\n"...)
	to = counter(to, "picoclaw_inbound_messages_total", "Text messages of users, as getUpdates brought them.", s.Inbound.Load())
	to = counter(to, "picoclaw_outbound_messages_total", "Replies that the Bot API accepted.", s.Outbound.Load())
	to = counter(to, "picoclaw_refused_messages_total", "Text messages of users who are not let in.", s.Refused.Load())
	to = counter(to, "picoclaw_errors_total", "Polls and sends that failed, each try.", s.Errors.Load())
	to = gauge(to, "picoclaw_ready", "1 while the Bot API has answered lately, else 0.", flag(s.Ready()))
	if usage, err := procmem.Read(); err == nil {
		to = gauge(to, "picoclaw_resident_memory_bytes", "VmRSS, as the kernel counts it.", usage.RSS<<10)
		to = gauge(to, "picoclaw_resident_memory_peak_bytes", "VmHWM, the highest VmRSS so far.", usage.Peak<<10)
	}
	to = gauge(to, "picoclaw_heap_bytes", "Objects on Go's heap, garbage that is not swept yet among them.", int64(heap.HeapAlloc))
	to = gauge(to, "picoclaw_heap_reserved_bytes", "What Go's heap has of the system, resident or not.", int64(heap.HeapSys))
	to = counter(to, "picoclaw_gc_cycles_total", "Collections of garbage.", int64(heap.NumGC))
	to = described(to, "picoclaw_gc_cpu_seconds_total", "CPU time that collections took, up to the last one.", "counter")
	to = appendSeconds(to, s.collected(&heap))
	to = described(to, "picoclaw_uptime_seconds", "Since the start of this gateway.", "gauge")
	return appendSeconds(to, s.Uptime())
}

// collected is how much CPU time collections took. The runtime tells it as a share of the time that all of GOMAXPROCS had up
// to the last collection (runtime.MemStats, GCCPUFraction). A counter never falls, whatever the board's clock is set to
// meanwhile.
func (s *Stats) collected(heap *runtime.MemStats) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if heap.NumGC != s.collections {
		last := s.Uptime() - max(s.now().Sub(time.Unix(0, int64(heap.LastGC))), 0) // LastGC is of the wall clock
		share := time.Duration(heap.GCCPUFraction * float64(last) * float64(runtime.GOMAXPROCS(0)))
		s.gcTime, s.collections = max(s.gcTime, share), heap.NumGC
	}
	return s.gcTime
}

func flag(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

func counter(to []byte, name, help string, value int64) []byte {
	return append(strconv.AppendInt(described(to, name, help, "counter"), value, 10), '\n')
}

func gauge(to []byte, name, help string, value int64) []byte {
	return append(strconv.AppendInt(described(to, name, help, "gauge"), value, 10), '\n')
}

// described appends the lines before a sample, and its name. The help texts hold nothing that would have to be escaped.
func described(to []byte, name, help, kind string) []byte {
	to = append(append(append(to, "# HELP "...), name...), ' ')
	to = append(append(append(to, help...), "\n# TYPE "...), name...)
	to = append(append(append(to, ' '), kind...), '\n')
	return append(append(to, name...), ' ')
}

// appendSeconds appends a duration as seconds with six digits after the point, and ends the line.
func appendSeconds(to []byte, length time.Duration) []byte {
	micros := max(int64(length/time.Microsecond), 0)
	to = append(strconv.AppendInt(to, micros/1e6, 10), '.')
	for digit := int64(1e5); digit > 0; digit /= 10 {
		to = append(to, '0'+byte(micros/digit%10))
	}
	return append(to, '\n')
}

// appendLabel appends a label's value, in which backslash, quote and line feed are escaped.
func appendLabel(to []byte, value string) []byte {
	to = append(to, '"')
	for i := range len(value) {
		switch c := value[i]; c {
		case '\n':
			to = append(to, '\\', 'n')
		case '\\', '"':
			to = append(to, '\\', c)
		default:
			to = append(to, c)
		}
	}
	return append(to, '"')
}
