package procmem

import (
	"os"
	"strings"
	"testing"
)

func TestTheKernelTellsWhatThisProcessUses(t *testing.T) {
	usage, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	if usage.RSS < 500 || usage.Peak < usage.RSS || usage.Anon+usage.File > usage.RSS {
		t.Errorf("%+v", usage)
	}
	before := usage.RSS
	touched := make([]byte, 8<<20)
	for i := 0; i < len(touched); i += 4096 {
		touched[i] = 1
	}
	if usage, _ = Read(); usage.RSS < before+7*1024 {
		t.Errorf("8 MiB were touched, and RSS went from %d to %d KiB", before, usage.RSS)
	}
	_ = touched[0]
}

func TestAStatusWithoutFiguresIsNoZero(t *testing.T) {
	for _, text := range []string{"", "Name:\tx\n", "VmHWM:\t1 kB\nVmRSS:\tx kB\n"} {
		if usage, err := parse([]byte(text)); err == nil {
			t.Errorf("%q gave %+v", text, usage)
		}
	}
	text, err := os.ReadFile("/proc/self/status")
	if err != nil || !strings.Contains(string(text), "VmRSS") {
		t.Skip("this kernel has none")
	}
}
