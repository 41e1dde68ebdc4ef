package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	token    = "12345:abcdefghijklmnopqrstuvwxyzABCDEFGHI"
	newToken = "12345:ABCDEFGHIabcdefghijklmnopqrstuvwxyz" // of the same bot
	testTime = 15 * time.Second
	tags     = "telegram,smallbuf"
)

// limits are those that a board gets.
var limits = []string{"GOMEMLIMIT=5MiB", "GOGC=20", "GOMAXPROCS=1"}

var folder string // of this run of the tests

func TestMain(m *testing.M) {
	made, err := os.MkdirTemp("", "picoclaw-test-")
	if err != nil {
		panic(err)
	}
	folder = made
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

// program is built as a board gets it, once.
var program = sync.OnceValues(func() (string, error) { return built("picoclaw", tags) })

func built(name, tags string) (string, error) {
	path := filepath.Join(folder, name)
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	build := exec.Command("go", "build", "-trimpath", "-tags", tags, "-ldflags", "-s -w -X main.version=9.8.7", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", errors.New(string(out))
	}
	return path, nil
}

func command(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(path, arguments...)
	c.Env = append(os.Environ(), limits...)
	return c
}

// finished runs a command to its end.
func finished(t *testing.T, arguments ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := begin(t, command(t, arguments...))
	return p.code(t), p.stdout.String(), p.stderr.String()
}

// process is a program that runs.
type process struct {
	*exec.Cmd
	stdout, stderr output
	ended          chan struct{}
}

// output is what a program has written so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(text)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) Len() int { return len(o.String()) }

func begin(t *testing.T, c *exec.Cmd) *process {
	t.Helper()
	p := &process{Cmd: c, ended: make(chan struct{})}
	c.Stdout, c.Stderr = &p.stdout, &p.stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		c.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		c.Process.Kill()
		<-p.ended
		if said := p.stdout.String() + p.stderr.String(); strings.Contains(said, token[6:]) || strings.Contains(said, newToken[6:]) {
			t.Errorf("the token is told: %s %s", &p.stdout, &p.stderr)
		}
	})
	return p
}

func (p *process) code(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
		return p.ProcessState.ExitCode()
	case <-time.After(testTime):
		t.Fatal("the program goes on")
		return 0
	}
}

// gateway runs a gateway until the test ends; it answers on its health port when this returns.
func gateway(t *testing.T, config string, port int) *process {
	t.Helper()
	p := begin(t, command(t, "gateway", "--config", config))
	for end := time.Now().Add(testTime); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			conn.Close()
			return p
		}
		select {
		case <-p.ended:
			t.Fatalf("the gateway ended: %s", &p.stderr)
		default:
		}
		if time.Now().After(end) {
			t.Fatal("the gateway does not listen")
		}
	}
}
