//go:build !nohealth

package main

import (
	"encoding/json"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestAGatewayThatListensEverywhereIsAskedOnLoopback(t *testing.T) {
	for host, wanted := range map[string]string{
		"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "127.0.0.1", "::1": "::1", "10.0.0.7": "10.0.0.7", "board.local": "board.local",
	} {
		if got := reachable(host); got != wanted {
			t.Errorf("%q is asked on %q", host, got)
		}
	}
}

// onPort lets something that is no gateway listen: it says text to whoever comes, and closes.
func onPort(t *testing.T, port int, text string) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(testTime))
			conn.Read(make([]byte, 1024))
			io.WriteString(conn, text)
			conn.Close()
		}
	}()
}

func TestStatusIsNotTakenInByAStranger(t *testing.T) {
	t.Parallel()
	for name, said := range map[string]string{
		"a printer":       "HTTP/1.1 200 OK\r\n\r\n<html>a printer</html>",
		"an SSH server":   "SSH-2.0-dropbear\r\n",
		"another service": "HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ok\"}\n",
		"half a gateway":  "HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ok\",\"version\":\"1\",\"pid\":1,\"uptime_s\":1,\"telegram\":{\"state\":\"ok\"",
	} {
		api := newTelegramAPI(t)
		config, port := api.configured(t, nil)
		onPort(t, port, said)
		wanted := "what listens there is no picoclaw (127.0.0.1:" + strconv.Itoa(port) + ")"
		if code, stdout, stderr := finished(t, "status", "--config", config); code != exitNotRunning || stderr != "" ||
			stdout != "picoclaw does not run: "+wanted+"\n" {
			t.Errorf("%s: %d, %q, %q", name, code, stdout, stderr)
		}
		code, stdout, _ := finished(t, "status", "--json", "--config", config)
		var found map[string]string
		if err := json.Unmarshal([]byte(stdout), &found); err != nil || code != exitNotRunning || found["status"] != "not running" ||
			found["detail"] != wanted {
			t.Errorf("%s: %d, %q", name, code, stdout)
		}
	}
}

func TestStatusDoesNotGuessWhereSomethingListensAndIsSilent(t *testing.T) {
	t.Parallel()
	api := newTelegramAPI(t)
	config, port := api.configured(t, nil)
	onPort(t, port, "")
	if code, stdout, _ := finished(t, "status", "--config", config); code != exitUnknown ||
		!strings.HasPrefix(stdout, "it can't be told whether picoclaw runs: what listens there gives no answer (127.0.0.1:") {
		t.Errorf("%d, %q", code, stdout)
	}
}

func TestStatusSaysThatNothingListens(t *testing.T) {
	t.Parallel()
	api := newTelegramAPI(t)
	config, port := api.configured(t, nil)
	if code, stdout, stderr := finished(t, "status", "--config", config); code != exitNotRunning || stderr != "" ||
		stdout != "picoclaw does not run: nothing listens on 127.0.0.1:"+strconv.Itoa(port)+"\n" {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
}

func TestStatusTellsSinceWhenAndWhatWasDone(t *testing.T) {
	t.Parallel()
	api := newTelegramAPI(t)
	config, port := api.configured(t, nil)
	start := time.Now().Truncate(time.Second)
	p := gateway(t, config, port)
	api.deliver(t, 2)
	status(t, config, func(d document) bool { return d.Outbound == 2 })
	code, stdout, stderr := finished(t, "status", "--config", config)
	lines := regexp.MustCompile(`^picoclaw 9\.8\.7 runs \(process ` + strconv.Itoa(p.Process.Pid) + `\) and is ready: Telegram answered \d s ago
since     (\S+), for \d+s
received  2
answered  2
refused   0
errors    0
VmRSS     \d{4} KiB
VmHWM     \d{4} KiB
TLS       TLS 1\.3 TLS_\S+
$`).FindStringSubmatch(stdout)
	if code != exitOK || stderr != "" || lines == nil {
		t.Fatalf("%d, %q, %q", code, stdout, stderr)
	}
	since, err := time.Parse(time.RFC3339, lines[1])
	if err != nil || since.Before(start) || since.After(time.Now()) {
		t.Errorf("it was started at %v, not at %v", start, lines[1])
	}
}

func TestAnAnswerCannotMoveTheCursor(t *testing.T) {
	said := answer{status: "not ready", version: "1\x1b[2J", pid: 1, state: "error", detail: "a\nb", rss: -1, hwm: -1}
	text := string(said.appendText(nil, time.Unix(1e9, 0)))
	if wanted := "picoclaw 1\\x1b[2J runs (process 1) but is not ready: Telegram can't be reached (a\\nb)\n"; !strings.HasPrefix(text, wanted) {
		t.Errorf("%q", text)
	}
	if strings.ContainsAny(text, "\x1b") || strings.Contains(text, "Vm") || strings.Count(text, "\n") != 6 {
		t.Errorf("%q", text)
	}
}
