//go:build linux

package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	wasRead    = `msg="the config was read again"`
	wasRefused = `msg="the new config is refused; the old one goes on"`
)

// alter rewrites a config as an editor does that replaces the file.
func alter(t *testing.T, path string, change func(whole, telegram map[string]any)) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var whole map[string]any
	if err := json.Unmarshal(text, &whole); err != nil {
		t.Fatal(err)
	}
	change(whole, whole["channels"].(map[string]any)["telegram"].(map[string]any))
	if text, err = json.Marshal(whole); err != nil {
		t.Fatal(err)
	}
	replace(t, path, string(text))
}

func replace(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// hup asks for a reload and waits until it is done; it gives back the lines that were logged meanwhile.
func (p *process) hup(t *testing.T) string {
	t.Helper()
	before := p.stderr.String()
	if err := p.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(testTime); ; time.Sleep(time.Millisecond) {
		said := p.stderr.String()[len(before):]
		if (strings.Contains(said, wasRead) || strings.Contains(said, wasRefused)) && strings.HasSuffix(said, "\n") {
			return said
		}
		if time.Now().After(end) {
			t.Fatalf("nothing is said of a reload: %q", said)
		}
	}
}

// metric scrapes one of the gateway's metrics.
func metric(t *testing.T, port int, name string) float64 {
	t.Helper()
	response, err := http.Get("http://127.0.0.1:" + strconv.Itoa(port) + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n"+name+" ")
	value, err := strconv.ParseFloat(strings.SplitN(rest, "\n", 2)[0], 64)
	if err != nil || !found {
		t.Fatalf("%s: %q", name, text)
	}
	return value
}

func TestAReloadLetsOthersInWithoutANewConnection(t *testing.T) {
	t.Parallel()
	api := newTelegramAPI(t)
	config, port := api.configured(t, func(m map[string]any) { m["allow_from"] = []any{8} })
	p := gateway(t, config, port)
	api.write(1) // of user 7, whom it is not for
	status(t, config, func(d document) bool { return d.Refused == 1 })
	alter(t, config, func(_, telegram map[string]any) { telegram["allow_from"] = []any{8, "@nobody", 7} })
	if said := p.hup(t); !strings.Contains(said, wasRead+" changed=allow_from\n") {
		t.Error(said)
	}
	api.write(1)
	if found := status(t, config, func(d document) bool { return d.Inbound == 1 && d.Outbound == 2 }); found.Refused != 1 || found.Errors != 0 {
		t.Errorf("%+v", found)
	}
	if said := p.hup(t); !strings.Contains(said, wasRead+" changed=nothing\n") {
		t.Error(said)
	}
	api.mu.Lock()
	defer api.mu.Unlock()
	if api.asked[token] != 1 {
		t.Errorf("getMe was called %d times", api.asked[token])
	}
}

func TestANewTokenIsIntroducedAndNothingIsAnsweredTwice(t *testing.T) {
	t.Parallel()
	api := newTelegramAPI(t)
	config, port := api.configured(t, nil)
	p := gateway(t, config, port)
	api.deliver(t, 5)
	alter(t, config, func(_, telegram map[string]any) { telegram["token"] = newToken })
	if said := p.hup(t); !strings.Contains(said, wasRead+" changed=bot\n") {
		t.Error(said)
	}
	api.mu.Lock()
	api.revoked = token
	if api.asked[newToken] == 0 {
		t.Error("getMe was not called with it")
	}
	api.mu.Unlock()
	api.deliver(t, 5)
	found := status(t, config, func(d document) bool { return d.Outbound == 10 && d.Status == "ok" })
	if found.PID != p.Process.Pid || found.Inbound != 10 || found.Errors != 0 {
		t.Errorf("%+v", found)
	}
}

func TestAFaultyConfigIsRefusedAndTheOldOneGoesOn(t *testing.T) {
	t.Parallel()
	api := newTelegramAPI(t)
	config, port := api.configured(t, nil)
	p := gateway(t, config, port)
	api.deliver(t, 1)
	whole, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	in := func(change func(whole, telegram map[string]any)) func() {
		return func() { alter(t, config, change) }
	}
	answered := 1
	for name, c := range map[string]struct {
		change func()
		wanted string
	}{
		"no JSON":      {func() { replace(t, config, "{\n \"gateway\": }") }, "line 2, column 13"},
		"no file":      {func() { os.Remove(config) }, "no such file"},
		"disabled":     {in(func(_, m map[string]any) { m["enabled"] = false }), "enabled is not true"},
		"half a token": {in(func(_, m map[string]any) { m["token"] = token[:20] }), "token is no bot token"},
		"dead token":   {in(func(_, m map[string]any) { m["token"] = "999:" + token[6:] }), "getMe fails with it: the Bot API answered 401"},
		"no authority": {in(func(_, m map[string]any) { m["ca_file"] = "/nonexistent/ca.pem" }), "ca_file: open /nonexistent/ca.pem"},
		"no model": {in(func(w, _ map[string]any) {
			w["agents"] = map[string]any{"defaults": map[string]any{"provider": "openai"}}
		}), "model is missing"},
		"wrong address": {in(func(_, m map[string]any) { m["base_url"] = "https://127.0.0.1:1" }), "getMe fails with it: dial tcp 127.0.0.1:1"},
		"foreign CA":    {in(func(_, m map[string]any) { delete(m, "ca_file") }), "SSL_CERT_FILE"},
	} {
		c.change()
		if said := p.hup(t); !strings.Contains(said, wasRefused) || !strings.Contains(said, c.wanted) {
			t.Errorf("%s: %s", name, said)
		}
		replace(t, config, string(whole))
		answered += 2
		api.deliver(t, 2)
		if found := status(t, config, func(d document) bool { return d.Outbound == answered }); found.Status != "ok" || found.Errors != 0 {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

func TestAnotherProviderAnswersTheNextMessage(t *testing.T) {
	t.Parallel()
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: {\"choices\":[{\"delta\":{\"content\":\"a model's words\"}}]}\n\ndata: [DONE]\n\n")
	}))
	t.Cleanup(model.Close)
	api := newTelegramAPI(t)
	config, port := api.configured(t, nil)
	p := gateway(t, config, port)
	api.deliver(t, 1)
	alter(t, config, func(whole, _ map[string]any) {
		whole["agents"] = map[string]any{"defaults": map[string]any{"provider": "openai", "model": "m"}}
		whole["providers"] = map[string]any{"openai": map[string]any{"api_base": model.URL, "api_key": "secret"}}
	})
	if said := p.hup(t); !strings.Contains(said, wasRead+" changed=provider\n") || strings.Contains(said, "secret") {
		t.Error(said)
	}
	api.write(1)
	status(t, config, func(d document) bool { return d.Outbound == 2 })
	api.mu.Lock()
	defer api.mu.Unlock()
	if api.answered[1] != 1 || api.answered[0] != 1 { // 0 is a reply that repeats no message
		t.Errorf("%v", api.answered)
	}
}

func TestAnotherHealthPortIsSaidToNeedARestart(t *testing.T) {
	t.Parallel()
	api := newTelegramAPI(t)
	config, port := api.configured(t, nil)
	p := gateway(t, config, port)
	alter(t, config, func(whole, _ map[string]any) { whole["gateway"] = map[string]any{"port": 1} })
	p.hup(t)
	wanted := "gateway.host and gateway.port change with a restart only; it goes on where it listens\" health=127.0.0.1:" + strconv.Itoa(port) + "\n"
	for end := time.Now().Add(testTime); !strings.Contains(p.stderr.String(), wanted); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(p.stderr.String())
		}
	}
	metric(t, port, "picoclaw_ready")
}

// TestTwoHundredReloadsUnderLoadLoseNothingAndLeaveNothing has messages written all the time. Every reload is a new
// connection with the other token.
func TestTwoHundredReloadsUnderLoadLoseNothingAndLeaveNothing(t *testing.T) {
	t.Parallel()
	const reloads, warm = 200, 40
	api := newTelegramAPI(t)
	config, port := api.configured(t, nil)
	p := gateway(t, config, port)
	tokens := []string{newToken, token}
	// Both go up and down: what is left after a collection, or a drop of pages, is the least that is seen.
	var heaps []float64
	var resident []int
	for i := range reloads {
		alter(t, config, func(_, telegram map[string]any) {
			telegram["token"] = tokens[i%2]
			telegram["allow_from"] = []any{7, i}
		})
		api.write(3)
		if said := p.hup(t); !strings.Contains(said, `changed="bot allow_from"`) {
			t.Fatal(said)
		}
		heaps = append(heaps, metric(t, port, "picoclaw_heap_bytes"))
		resident = append(resident, memory(t, p.Process.Pid, "VmRSS"))
	}
	api.settle(t)
	found := status(t, config, func(d document) bool { return d.Outbound == 3*reloads })
	if found.Inbound != 3*reloads || found.Errors != 0 || found.PID != p.Process.Pid {
		t.Errorf("%+v", found)
	}
	first, last := slices.Min(heaps[:warm]), slices.Min(heaps[reloads-warm:])
	low, end := slices.Min(resident[:warm]), slices.Min(resident[reloads-warm:])
	t.Logf("the heap's least: %.0f bytes, in the end %.0f; VmRSS's: %d KiB, in the end %d", first, last, low, end)
	if last > first+24<<10 {
		t.Errorf("the heap grew from %.0f to %.0f bytes", first, last)
	}
	if end > low+1024 { // a drop of pages may not fall into a window
		t.Errorf("VmRSS grew from %d to %d KiB", low, end)
	}
	start := time.Now()
	p.Process.Signal(syscall.SIGTERM)
	if code := p.code(t); code != exitOK || time.Since(start) > time.Second {
		t.Errorf("code %d after %v", code, time.Since(start))
	}
	if times := len(regexp.MustCompile(wasRead).FindAllString(p.stderr.String(), -1)); times != reloads {
		t.Errorf("%d reloads were logged", times)
	}
}

func TestAStopDoesNotWaitForAReload(t *testing.T) {
	t.Parallel()
	api := newTelegramAPI(t)
	config, port := api.configured(t, nil)
	p := gateway(t, config, port)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections, and that is all
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	alter(t, config, func(_, telegram map[string]any) { telegram["base_url"] = "http://" + silent.Addr().String() })
	p.Process.Signal(syscall.SIGHUP)
	conn, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	p.Process.Signal(syscall.SIGHUP) // and one more that waits
	start := time.Now()
	p.Process.Signal(syscall.SIGTERM)
	if code := p.code(t); code != exitOK || time.Since(start) > time.Second {
		t.Errorf("code %d after %v: %s", code, time.Since(start), &p.stderr)
	}
}
