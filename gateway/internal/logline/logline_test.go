package logline

import (
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// written is what a function writes to standard error.
func written(t *testing.T, write func()) string {
	t.Helper()
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = out
	write()
	os.Stderr = stderr
	out.Close()
	text, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestALineSaysTimeLevelMessageAndValues(t *testing.T) {
	got := written(t, func() {
		Info("it runs", "pid", "7", "empty", "", "left over")
		Warn("slow")
		Error("broken", "error", "no route")
	})
	stamp := regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ `)
	for _, found := range stamp.FindAllString(got, -1) {
		if at, err := time.Parse(time.RFC3339, strings.TrimSpace(found)); err != nil || time.Since(at).Abs() > time.Minute {
			t.Errorf("%q, %v", found, err)
		}
	}
	wanted := `level=info msg="it runs" pid=7 empty=""
level=warn msg=slow
level=error msg=broken error="no route"
`
	if rest := stamp.ReplaceAllString(got, ""); rest != wanted {
		t.Errorf("%q instead of %q", rest, wanted)
	}
}

func TestNobodyCanForgeALine(t *testing.T) {
	for _, value := range []string{
		"x\n2026-01-01T00:00:00Z level=error msg=forged", "x level=error", `x" level=error msg="forged`, "x\r\nforged", `\`, "a=b",
		"\x1b[2Jcleared", "\x00", "\u2028forged", "\u202eright to left", "\u0085next line", "\xff", "🙂",
	} {
		got := written(t, func() { Info(value, "key", value) })
		line, rest, _ := strings.Cut(got, "\n")
		if rest != "" {
			t.Errorf("%q wrote two lines: %q", value, got)
		}
		for _, c := range []byte(line) {
			if c < ' ' || c >= 0x7F {
				t.Errorf("%q wrote %q", value, got)
				break
			}
		}
		_, quoted, found := strings.Cut(line, " key=")
		if back, err := strconv.Unquote(quoted); !found || err != nil || back != value {
			t.Errorf("%q is written as %q", value, quoted)
		}
	}
}
