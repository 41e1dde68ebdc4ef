package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPprofReadsTheHeapOfAGatewayThatIsBuiltForIt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(folder, "picoclaw-pprof")
	// Not as a board gets it: with the flags of the tests, for which net/http is compiled already.
	if out, err := exec.Command("go", "build", "-tags", "telegram,pprof", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v, %s", err, out)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	free.Close()
	api := newTelegramAPI(t)
	config, _ := api.configured(t, nil)
	c := exec.Command(path, "gateway", "--config", config)
	c.Env = append(os.Environ(), "PPROF=1", "PPROF_PORT="+port)
	p := begin(t, c)
	api.deliver(t, 3)
	for end := time.Now().Add(testTime); !strings.Contains(p.stderr.String(), "the profiler listens") && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	read := exec.Command("go", "tool", "pprof", "-top", "http://"+address+"/debug/pprof/heap")
	read.Env = append(os.Environ(), "PPROF_TMPDIR="+t.TempDir()) // where it keeps what it has fetched; else in the home folder
	out, err := read.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Type: inuse_space") || !strings.Contains(string(out), "flat%") {
		t.Errorf("%v, %s; %s", err, out, &p.stderr)
	}
}
