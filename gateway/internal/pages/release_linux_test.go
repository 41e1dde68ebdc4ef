package pages

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"
)

// childMark makes the test binary do what child does. It has to be a process of its own, for Release changes it for good.
const childMark = "SLIMDEPLOY_PAGES_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childMark) != "" {
		child()
		return
	}
	os.Exit(m.Run())
}

type report struct {
	MappedKiB int
	BeforeKiB int // RssFile
	AfterKiB  int
	LaterKiB  int // after the program has done again what it did before
	Same      bool
}

func child() {
	before := exercise()
	r := report{BeforeKiB: fileKiB()}
	program, err := Own()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	program.Narrow()
	mapped, err := program.Release()
	r.AfterKiB = fileKiB()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	r.MappedKiB = mapped / 1024
	r.Same = exercise() == before
	r.LaterKiB = fileKiB()
	text, _ := json.Marshal(r)
	os.Stdout.Write(text)
}

// exercise uses code, read-only data, the tables that stack traces and the garbage collector need, and the heap.
func exercise() string {
	var out bytes.Buffer
	template.Must(template.New("").Parse("{{range .}}{{printf `%05d ` .}}{{end}}")).Execute(&out, []int{3, 1, 2})
	fmt.Fprintln(&out, regexp.MustCompile(`(\w+)@(\w+)`).ReplaceAllString("a@b", "$2 at $1"), sha256.Sum256([]byte("x")))
	results := make(chan int)
	for i := range 50 {
		go func() {
			defer func() { recover(); results <- i }()
			_ = append(deep(1000), make([]byte, 1<<16)...)
			var none map[string]int
			none["x"] = i //lint:ignore SA5000 it is to panic
		}()
	}
	var all []int
	for range 50 {
		all = append(all, <-results)
	}
	slices.Sort(all)
	runtime.GC()
	debug.FreeOSMemory()
	name := "none"
	if at, _, _, ok := runtime.Caller(0); ok {
		name = runtime.FuncForPC(at).Name()
	}
	fmt.Fprintln(&out, all, name)
	return out.String()
}

func deep(n int) []byte {
	if n == 0 {
		return []byte{}
	}
	return append(deep(n-1), byte(n))
}

// fileKiB is RssFile of proc(5).
func fileKiB() int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	_, rest, _ := strings.Cut(string(text), "RssFile:")
	value, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		panic(err)
	}
	return value
}

func run(t *testing.T, program string) report {
	t.Helper()
	command := exec.Command(program)
	command.Env = append(os.Environ(), childMark+"=1", "GOTRACEBACK=all")
	out, err := command.CombinedOutput()
	var r report
	if err != nil || json.Unmarshal(out, &r) != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !r.Same {
		t.Errorf("the program does not do what it did before: %+v", r)
	}
	t.Logf("%+v", r)
	return r
}

func TestTheStartUpPagesAreGivenBackAndTheProgramGoesOn(t *testing.T) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	fixed, err := isFixed(self)
	if err != nil {
		t.Fatal(err)
	}
	if !fixed {
		t.Skip("this test binary is position-independent or linked with libc (-race, -buildmode=pie)")
	}
	r := run(t, os.Args[0])
	if r.MappedKiB < 500 || r.AfterKiB > r.BeforeKiB/2 {
		t.Errorf("too little was given back: %+v", r)
	}
	if r.LaterKiB <= r.AfterKiB || r.LaterKiB > r.BeforeKiB {
		t.Errorf("what is needed again does not come back, or all of it does: %+v", r)
	}
}

// TestAProgramLinkedWithLibcIsLeftAlone builds this package's tests so that a loader writes into the program.
func TestAProgramLinkedWithLibcIsLeftAlone(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("no gcc here; on Debian or Ubuntu: apt-get install gcc libc6-dev")
	}
	program := filepath.Join(t.TempDir(), "pages.test")
	build := exec.Command("go", "test", "-c", "-o", program, "-ldflags=-linkmode=external", ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("this Go can't link with libc: %v: %s", err, out)
	}
	if r := run(t, program); r.MappedKiB != 0 || r.AfterKiB < r.BeforeKiB-64 {
		t.Errorf("pages were given back: %+v", r)
	}
}

func TestOnlyAProgramThatNoLoaderChangesIsFixed(t *testing.T) {
	const exec, dynamic = 2, 3 // ET_EXEC and ET_DYN, which position-independent programs are
	load, stack := uint32(1), uint32(0x6474e551)
	for _, c := range []struct {
		name     string
		kind     uint16
		segments []uint32
		wanted   bool
	}{
		{"a static program", exec, []uint32{6, 4, load, load, load, stack}, true},
		{"position-independent", dynamic, []uint32{load, load}, false},
		{"with a loader", exec, []uint32{load, elfSegmentInterp}, false},
		{"with relocations", exec, []uint32{load, stack, elfSegmentRelro}, false},
		{"with a dynamic section", exec, []uint32{elfSegmentDynamic, load}, false},
	} {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			for _, wide := range []bool{false, true} {
				if fixed, err := isFixed(bytes.NewReader(elf(order, wide, c.kind, c.segments))); err != nil || fixed != c.wanted {
					t.Errorf("%s, %v, 64 bits %v: %v, %v", c.name, order, wide, fixed, err)
				}
			}
		}
	}
	torn := elf(binary.LittleEndian, true, exec, []uint32{load, load})
	for _, length := range []int{0, 20, 63, len(torn) - 64 - 56} {
		if fixed, err := isFixed(bytes.NewReader(torn[:length])); err == nil || fixed {
			t.Errorf("a file of %d bytes: %v, %v", length, fixed, err)
		}
	}
}

// elf is the header and the segment table of a program, after elf(5).
func elf(order binary.AppendByteOrder, wide bool, kind uint16, segments []uint32) []byte {
	class, data, header, entry := byte(1), byte(1), 52, 32
	if wide {
		class, header, entry = 2, 64, 56
	}
	if order == binary.AppendByteOrder(binary.BigEndian) {
		data = 2
	}
	file := append([]byte("\x7fELF"), class, data, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	file = order.AppendUint16(file, kind)
	file = order.AppendUint16(file, 8) // e_machine
	file = order.AppendUint32(file, 1)
	word := func(value uint64) {
		if wide {
			file = order.AppendUint64(file, value)
		} else {
			file = order.AppendUint32(file, uint32(value))
		}
	}
	word(0x401000)       // e_entry
	word(uint64(header)) // e_phoff
	word(0)              // e_shoff
	file = order.AppendUint32(file, 0)
	for _, value := range []int{header, entry, len(segments), 0, 0, 0} {
		file = order.AppendUint16(file, uint16(value))
	}
	for _, segment := range segments {
		file = append(order.AppendUint32(file, segment), make([]byte, entry-4)...)
	}
	return append(file, make([]byte, 64)...) // what a file goes on with
}

func TestOnlyThePrivateReadOnlyMappingsOfTheProgramAreTaken(t *testing.T) {
	for line, wanted := range map[string]bool{
		"00400000-00686000 r-xp 00000000 fd:00 1234 /opt/pico claw/picoclaw\n":        true,
		"00686000-00900000 r--p 00286000 fd:00 1234       /opt/pico claw/picoclaw":    true,
		"00900000-00930000 rw-p 00500000 fd:00 1234 /opt/pico claw/picoclaw\n":        false,
		"00900000-00930000 r--s 00500000 fd:00 1234 /opt/pico claw/picoclaw\n":        false,
		"00900000-00930000 ---p 00500000 fd:00 1234 /opt/pico claw/picoclaw\n":        false,
		"7f0000000000-7f0000001000 r-xp 00000000 fd:00 1 /usr/lib/libc.so.6\n":        false,
		"7f0000000000-7f0000001000 r-xp 00000000 fd:00 1 /x/opt/pico claw/picoclaw\n": false,
		"7f0000000000-7f0000001000 r-xp 00000000 00:00 0 [vdso]\n":                    false,
		"7f0000000000-7f0000001000 r--p 00000000 00:00 0\n":                           false,
		"00500000-00400000 r-xp 00000000 fd:00 1234 /opt/pico claw/picoclaw\n":        false,
		"zz-00500000 r-xp 00000000 fd:00 1234 /opt/pico claw/picoclaw\n":              false,
		"": false,
	} {
		start, end, ok := ownReadOnly([]byte(line), "/opt/pico claw/picoclaw")
		if ok != wanted || (ok && start >= end) {
			t.Errorf("%q: %x-%x %v", line, start, end, ok)
		}
	}
}
