package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

type document struct {
	Status   string
	Version  string
	PID      int
	Inbound  int
	Outbound int
	Refused  int
	Errors   int
	Telegram struct {
		State      string
		TLSVersion string `json:"tls_version"`
	}
}

// status asks with the command until the document is as wanted.
func status(t *testing.T, config string, wanted func(document) bool) document {
	t.Helper()
	for end := time.Now().Add(testTime); ; time.Sleep(10 * time.Millisecond) {
		code, stdout, stderr := finished(t, "status", "--json", "--config", config)
		var found document
		if err := json.Unmarshal([]byte(stdout), &found); err != nil || code != exitOK || stderr != "" {
			t.Fatalf("%d, %q, %q", code, stdout, stderr)
		}
		if wanted(found) {
			return found
		}
		if time.Now().After(end) {
			t.Fatalf("it stays at %+v", found)
		}
	}
}

func TestTheProgramSaysHowItWasBuilt(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := finished(t, "version", "--json")
	var found map[string]string
	if err := json.Unmarshal([]byte(stdout), &found); err != nil || code != exitOK || stderr != "" {
		t.Fatalf("%d, %q, %q", code, stdout, stderr)
	}
	for key, wanted := range map[string]string{
		"version": "9.8.7", "tags": tags, "go": runtime.Version(), "target": runtime.GOOS + "/" + runtime.GOARCH,
	} {
		if found[key] != wanted {
			t.Errorf("%s is %q", key, found[key])
		}
	}
}

func TestHeavyPackagesAreNotLinked(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", "list", "-deps", "-tags", tags, ".")
	list.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := strings.Fields(string(out))
	if !slices.Contains(linked, "crypto/tls") {
		t.Fatalf("this is not the gateway's list: %q", linked)
	}
	for _, heavy := range []string{"net/http", "encoding/json", "regexp", "text/template", "net/http/pprof", "log", "testing", "runtime/cgo", "compress/flate"} {
		if slices.Contains(linked, heavy) {
			t.Errorf("%s is linked", heavy)
		}
	}
}

func TestAGatewayAnswersAndStopsInOrder(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		if runtime.GOOS == "windows" {
			t.Skip("Windows has no such signals")
		}
		api := newTelegramAPI(t)
		config, port := api.configured(t, nil)
		if code, stdout, stderr := finished(t, "status", "--config", config); code != exitNotRunning || stdout == "" || stderr != "" {
			t.Errorf("before the start: %d, %q, %q", code, stdout, stderr)
		}
		p := gateway(t, config, port)
		api.deliver(t, 3)
		found := status(t, config, func(d document) bool { return d.Outbound == 3 })
		if found.Status != "ok" || found.Version != "9.8.7" || found.PID != p.Process.Pid || found.Inbound != 3 || found.Errors != 0 ||
			found.Telegram.State != "ok" || found.Telegram.TLSVersion != "TLS 1.3" {
			t.Errorf("%+v", found)
		}
		if code, stdout, _ := finished(t, "status", "--config", config); code != exitOK || !strings.Contains(stdout, "and is ready") {
			t.Errorf("%d, %q", code, stdout)
		}
		start := time.Now()
		if err := p.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if code := p.code(t); code != exitOK || time.Since(start) > time.Second {
			t.Errorf("%v: code %d after %v", signal, code, time.Since(start))
		}
		if p.stdout.Len() != 0 || !strings.Contains(p.stderr.String(), "msg=stopped\n") {
			t.Errorf("%q %q", &p.stdout, &p.stderr)
		}
		if code, _, _ := finished(t, "status", "--config", config); code != exitNotRunning {
			t.Errorf("after the stop: %d", code)
		}
	}
}

func TestASecondGatewayOnThePortEndsAndLeavesTheFirstAlone(t *testing.T) {
	t.Parallel()
	api := newTelegramAPI(t)
	config, port := api.configured(t, nil)
	first := gateway(t, config, port)
	if code, _, stderr := finished(t, "gateway", "--config", config); code != exitFault || !strings.Contains(stderr, "address already in use") {
		t.Errorf("%d, %q", code, stderr)
	}
	api.deliver(t, 1)
	if found := status(t, config, func(d document) bool { return d.Outbound == 1 }); found.PID != first.Process.Pid {
		t.Errorf("%+v", found)
	}
}

func TestAConfigThatCannotWorkIsTheEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(map[string]any)
		wanted string
	}{
		"disabled":        {func(m map[string]any) { m["enabled"] = false }, "channels.telegram.enabled is not true"},
		"nothing said":    {func(m map[string]any) { clear(m) }, "channels.telegram.enabled is not true"},
		"no token":        {func(m map[string]any) { delete(m, "token") }, "channels.telegram.token is no bot token: it is empty"},
		"no token's form": {func(m map[string]any) { m["token"] = token + "x" }, "36 characters follow the colon instead of 35"},
		"another's token": {func(m map[string]any) { m["token"] = "999:" + token[6:] }, ""},
		"no authority":    {func(m map[string]any) { m["ca_file"] = "/nonexistent/ca.pem" }, "ca_file: open /nonexistent/ca.pem: no such file"},
		"no certificate":  {func(m map[string]any) { m["ca_file"] = os.Args[0] }, "holds no certificate"},
		"no URL":          {func(m map[string]any) { m["base_url"] = "api.telegram.org" }, "channels.telegram.base_url: it has to begin with https://"},
	} {
		api := newTelegramAPI(t)
		api.refusal = 401
		config, _ := api.configured(t, c.change)
		if name == "another's token" { // which the API says no to
			config, _ = api.configured(t, nil)
			c.wanted = "Telegram refuses the token (401)"
		}
		code, stdout, stderr := finished(t, "gateway", "--config", config)
		if code != exitConfig || stdout != "" || !strings.Contains(stderr, c.wanted) || strings.Contains(stderr, token[6:]) {
			t.Errorf("%s: %d, %q, %q", name, code, stdout, stderr)
		}
	}
}

func TestStatusTellsAGatewayThatIsNotReady(t *testing.T) {
	t.Parallel()
	api := newTelegramAPI(t)
	api.refusal = 409
	config, port := api.configured(t, nil)
	gateway(t, config, port)
	status(t, config, func(d document) bool {
		return d.Status == "not ready" && d.Telegram.State == "conflict" && d.Errors > 0
	})
	if code, stdout, _ := finished(t, "status", "--config", config); code != exitOK ||
		!strings.Contains(stdout, ") but is not ready: Telegram gives the messages to another gateway, or to a webhook (the Bot API answered 409") {
		t.Errorf("%d, %q", code, stdout)
	}
}

// TestTheGatewayStaysWithinTheBudget holds the promise of the whole project against the kernel's own figures.
func TestTheGatewayStaysWithinTheBudget(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the figures of this test are those of linux/amd64")
	}
	t.Parallel()
	const budgetKiB, startKiB = 5120, 4096
	api := newTelegramAPI(t)
	config, port := api.configured(t, nil)
	p := gateway(t, config, port)
	answered := 0
	for _, messages := range []int{50, 950} {
		api.deliver(t, messages)
		answered += messages
		status(t, config, func(d document) bool { return d.Outbound == answered && d.Telegram.State == "ok" })
		rss, peak := memory(t, p.Process.Pid, "VmRSS"), memory(t, p.Process.Pid, "VmHWM")
		t.Logf("after %d messages: VmRSS %d KiB, VmHWM %d KiB, RssAnon %d KiB, RssFile %d KiB", answered, rss, peak,
			memory(t, p.Process.Pid, "RssAnon"), memory(t, p.Process.Pid, "RssFile"))
		if rss > budgetKiB {
			t.Errorf("VmRSS is %d KiB after %d messages", rss, answered)
		}
		if peak > startKiB {
			t.Errorf("VmHWM is %d KiB: the start maps what is around each place of the binary that it touches", peak)
		}
		if rss < 500 || peak < rss {
			t.Errorf("VmRSS %d KiB and VmHWM %d KiB can't be", rss, peak)
		}
	}
}

// memory reads one line of /proc/PID/status (proc(5)), in KiB.
func memory(t *testing.T, pid int, name string) int {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n"+name+":")
	if !found {
		t.Fatalf("no %s in %s", name, text)
	}
	value, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return value
}
