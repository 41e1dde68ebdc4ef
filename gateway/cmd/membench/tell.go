package main

import (
	"os"
	"runtime"
	"strconv"

	"slimdeploy/gateway/internal/procmem"
	"slimdeploy/gateway/internal/simulated"
)

// measurement is what was read so far.
type measurement struct {
	options options
	read    func() (procmem.Usage, error)
	stop    func() // stands still until it may go on
	wait    func() // the same, but the rest of the program runs

	phases  [5]phase
	count   int
	burst   *simulated.Burst // nil where it did not come to that
	unread  error            // why the resident set can't be told
	heap    runtime.MemStats
	failure string
}

// phase is what was read at the end of one. Usage is in KiB, all 0 where it can't be told; the others are as
// runtime.MemStats has them, in bytes.
type phase struct {
	name      string
	usage     procmem.Usage
	heapAlloc uint64
	heapSys   uint64
	numGC     uint32
}

// phase reads the figures, and tells them at once where they are for people.
func (m *measurement) phase(name string) {
	p := &m.phases[m.count]
	m.count++
	if p.usage, m.unread = m.read(); m.unread != nil {
		p.usage = procmem.Usage{}
	}
	m.stop()
	runtime.ReadMemStats(&m.heap)
	p.name, p.heapAlloc, p.heapSys, p.numGC = name, m.heap.HeapAlloc, m.heap.HeapSys, m.heap.NumGC
	if !m.options.json {
		os.Stdout.Write(p.appendLine(nil))
	}
}

// appendLine appends "[mem 4-after-burst  ] RSS= 3072 KB (3.00 MB)  HeapAlloc= 690760 B  HeapSys= 3899392 B  NumGC=86".
// KB is what /proc calls so: KiB.
func (p *phase) appendLine(to []byte) []byte {
	to = padded(append(to, "[mem "...), p.name, -15)
	to = append(to, "] RSS="...)
	if p.usage.RSS == 0 {
		to = append(to, " not measured"...)
	} else {
		to = append(padded(to, strconv.FormatInt(p.usage.RSS, 10), 5), " KB ("...)
		to = append(strconv.AppendFloat(to, float64(p.usage.RSS)/1024, 'f', 2, 64), " MB)"...)
	}
	to = padded(append(to, "  HeapAlloc="...), strconv.FormatUint(p.heapAlloc, 10), 7)
	to = padded(append(to, " B  HeapSys="...), strconv.FormatUint(p.heapSys, 10), 8)
	to = strconv.AppendUint(append(to, " B  NumGC="...), uint64(p.numGC), 10)
	return append(to, '\n')
}

// padded appends text and the spaces that bring it to width: before it, or after it where width is negative.
func padded(to []byte, text string, width int) []byte {
	if width < 0 {
		to = append(to, text...)
	}
	for missing := max(width, -width) - len(text); missing > 0; missing-- {
		to = append(to, ' ')
	}
	if width >= 0 {
		to = append(to, text...)
	}
	return to
}

// tell is what the phases' lines don't say, and the exit code.
func (m *measurement) tell() (text []byte, code int) {
	verdict, reason, code := m.verdict()
	report := simulated.Report{JSON: m.options.json}
	if report.JSON {
		report.Raw("phases", m.appendPhases(nil))
	}
	if m.burst != nil {
		m.burst.Add(&report)
	}
	last := &m.phases[max(m.count-1, 0)].usage
	if last.RSS > 0 {
		report.Number("vmrss_kib", last.RSS)
		report.Number("vmhwm_kib", last.Peak)
	}
	report.Decimal("gc_cpu_percent", 100*m.heap.GCCPUFraction, 3)
	if m.options.budget > 0 {
		report.Number("budget_bytes", m.options.budget)
	}
	if report.JSON {
		report.Text("verdict", verdict)
		report.Text("reason", reason)
	}
	text = report.Bytes()
	if !report.JSON {
		text = append(text, verdict+": "+reason+"\n"...)
	}
	return text, code
}

func (m *measurement) appendPhases(to []byte) []byte {
	to = append(to, '[')
	for i := range m.phases[:m.count] {
		p := &m.phases[i]
		one := simulated.Report{JSON: true}
		one.Text("phase", p.name)
		if p.usage.RSS > 0 {
			one.Number("rss_kib", p.usage.RSS)
			one.Number("hwm_kib", p.usage.Peak)
		}
		one.Number("heap_alloc_bytes", int64(p.heapAlloc))
		one.Number("heap_sys_bytes", int64(p.heapSys))
		one.Number("num_gc", int64(p.numGC))
		if i > 0 {
			to = append(to, ',')
		}
		text := one.Bytes()
		to = append(to, text[:len(text)-1]...) // without its end of line
	}
	return append(to, ']')
}

// verdict judges the messages first: a path that loses some may be as small as it likes.
func (m *measurement) verdict() (verdict, reason string, code int) {
	switch {
	case m.failure != "":
		return "FAIL", m.failure, exitFail
	case m.burst == nil || !m.burst.Whole():
		return "FAIL", "not every message was consumed and answered just once", exitFail
	}
	resident := m.phases[m.count-1].usage.RSS << 10
	switch {
	case m.unread != nil || resident == 0:
		text := "the resident set can't be read"
		if m.unread != nil {
			text += ": " + m.unread.Error()
		}
		return "NOT MEASURED", text, exitNotMeasured
	case m.options.budget > 0 && resident > m.options.budget:
		return "FAIL", "5-steady-state takes " + mib(resident) + ", the budget is " + mib(m.options.budget), exitFail
	case m.options.budget > 0:
		return "PASS", "5-steady-state takes " + mib(resident) + ", the budget is " + mib(m.options.budget) + "; " + m.messages(), exitPass
	}
	return "PASS", m.messages() + "; no budget was given", exitPass
}

func (m *measurement) messages() string {
	return "produced = consumed = answered = " + strconv.FormatInt(m.burst.Produced, 10)
}

func mib(size int64) string {
	return strconv.FormatFloat(float64(size)/(1<<20), 'f', 2, 64) + " MiB"
}
