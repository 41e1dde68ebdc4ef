//go:build unix

package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// state is the process's, field 3 of /proc/PID/stat (proc(5)).
func state(pid int) string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	return fields[0]
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come to ", what)
		}
	}
}

func TestItStopsWhereEachPhaseIsReadUntilItMayGoOn(t *testing.T) {
	measurable(t)
	t.Parallel()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path, "--hold", "--burst", "20")
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer command.Process.Kill()
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	line := func() string {
		select {
		case text := <-lines:
			return text
		case <-time.After(30 * time.Second):
			t.Error("nothing more is told")
			return ""
		}
	}
	pid := command.Process.Pid
	goOn := func() {
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	for _, phase := range []string{"1-baseline", "2-config-loaded", "3-bus-created", "4-after-burst", "5-steady-state"} {
		until(t, phase, func() bool { return state(pid) == "T" })
		select {
		case text := <-lines:
			t.Fatalf("%q came without leave", text)
		default:
		}
		goOn()
		if text := line(); !strings.HasPrefix(text, "[mem "+phase) {
			t.Fatalf("%q instead of %s", text, phase)
		}
	}
	select {
	case text := <-lines:
		t.Fatalf("%q came without leave", text)
	case <-time.After(50 * time.Millisecond):
	}
	if now := state(pid); now == "T" {
		t.Error("after the last phase it does not run")
	}
	goOn()
	for !strings.HasPrefix(line(), "PASS: ") {
		if t.Failed() {
			return
		}
	}
	if now := state(pid); now == "Z" || now == "" {
		t.Fatal("it did not wait behind the verdict")
	}
	goOn()
	for range lines { // to its end: then Wait may close the pipe
	}
	if err := command.Wait(); err != nil {
		t.Error(err)
	}
}
