//go:build !nohealth

package health

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serve starts the server on a free port.
func serve(t *testing.T, stats *Stats) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		Serve(listener, stats)
		close(ended)
	}()
	t.Cleanup(func() {
		listener.Close()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Error("Serve goes on after the listener was closed")
		}
	})
	return listener.Addr().String()
}

// say sends text and reads all that comes back.
func say(t *testing.T, address, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("%.60q: %v", text, err)
	}
	return string(answer)
}

type document struct {
	Status   string
	Version  string
	PID      int
	Uptime   int `json:"uptime_s"`
	Inbound  int
	Outbound int
	Errors   int
	Telegram struct {
		State      string
		LastOK     *int   `json:"last_ok_s"`
		TLSVersion string `json:"tls_version"`
		TLSCipher  string `json:"tls_cipher"`
		Detail     string
	}
}

func get(t *testing.T, url string) (status int, found document) {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if kind := response.Header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("%s: Content-Type %q", url, kind)
	}
	decoder := json.NewDecoder(response.Body)
	if err := decoder.Decode(&found); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, found
}

func TestReadyFollowsTheBotAPIsAnswers(t *testing.T) {
	t.Parallel()
	stats := NewStats("1.2.3", 90*time.Second)
	var later atomic.Int64 // seconds
	stats.nowFunc = func() time.Time { return stats.started.Add(time.Duration(later.Load()) * time.Second) }
	url := "http://" + serve(t, stats)
	check := func(when string, wantedStatus int, wantedState string) document {
		t.Helper()
		status, found := get(t, url+"/ready")
		word := map[int]string{200: "ok", 503: "not ready"}[wantedStatus]
		if status != wantedStatus || found.Status != word || found.Telegram.State != wantedState {
			t.Errorf("%s: %d, %+v", when, status, found)
		}
		if status, found := get(t, url+"/health"); status != 200 || found.Status != "ok" || found.Telegram.State != wantedState {
			t.Errorf("%s: /health %d, %+v", when, status, found)
		}
		return found
	}
	if found := check("at first", 503, "connecting"); found.Telegram.LastOK != nil {
		t.Errorf("an answer %d s ago that never came", *found.Telegram.LastOK)
	}
	later.Store(10)
	stats.Answered("TLS 1.3", "TLS_AES_128_GCM_SHA256")
	stats.Inbound.Store(3)
	stats.Outbound.Store(2)
	stats.Errors.Store(1)
	later.Store(100)
	found := check("90 s after an answer", 200, "ok")
	if found.Version != "1.2.3" || found.PID != os.Getpid() || found.Uptime != 100 || *found.Telegram.LastOK != 90 ||
		found.Inbound != 3 || found.Outbound != 2 || found.Errors != 1 ||
		found.Telegram.TLSVersion != "TLS 1.3" || found.Telegram.TLSCipher != "TLS_AES_128_GCM_SHA256" {
		t.Errorf("%+v", found)
	}
	later.Store(101)
	check("91 s after an answer", 503, "error")
	stats.Answered("TLS 1.3", "x")
	check("after another", 200, "ok")
	stats.Failed("conflict", "another gateway")
	if found := check("after a failure", 503, "conflict"); found.Telegram.Detail != "another gateway" {
		t.Errorf("%+v", found)
	}
}

func TestOtherRequestsAreRefused(t *testing.T) {
	t.Parallel()
	stats := NewStats("dev", time.Minute)
	stats.Answered("", "")
	address := serve(t, stats)
	for request, wanted := range map[string]string{
		"GET /health HTTP/1.1\r\nHost: x\r\n\r\n": "HTTP/1.1 200 OK\r\n",
		"GET /health?x=y HTTP/1.0\n\n":            "HTTP/1.1 200 OK\r\n",
		"GET / HTTP/1.1\r\n\r\n":                  "HTTP/1.1 404 Not Found\r\n",
		"GET /healthy HTTP/1.1\r\n\r\n":           "HTTP/1.1 404 Not Found\r\n",
		"DELETE /health HTTP/1.1\r\n\r\n":         "HTTP/1.1 405 Method Not Allowed\r\n",
		"POST /ready HTTP/1.1\r\nContent-Length: 9000\r\n\r\n" + strings.Repeat("x", 9000): "HTTP/1.1 405 Method Not Allowed\r\n",
		"GET /health\r\n\r\n":                                                        "HTTP/1.1 400 Bad Request\r\n",
		"GET health HTTP/1.1\r\n\r\n":                                                "HTTP/1.1 400 Bad Request\r\n",
		"GET  /health HTTP/1.1\r\n\r\n":                                              "HTTP/1.1 400 Bad Request\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n":                       "HTTP/1.1 400 Bad Request\r\n", // a TLS client
		"GET /" + strings.Repeat("x", maxLine) + " HTTP/1.1\r\n\r\n":                 "HTTP/1.1 400 Bad Request\r\n",
		"GET /health HTTP/1.1\r\nCookie: " + strings.Repeat("x", 10000) + "\r\n\r\n": "HTTP/1.1 400 Bad Request\r\n",
		"GET /health HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", maxLines) + "\r\n":   "HTTP/1.1 400 Bad Request\r\n",
	} {
		answer := say(t, address, request)
		head, body, found := strings.Cut(answer, "\r\n\r\n")
		if !strings.HasPrefix(answer, wanted) || !found || !json.Valid([]byte(body)) {
			t.Errorf("%.60q: %q", request, answer)
		}
		if strings.Contains(wanted, " 405 ") && !strings.Contains(head, "\r\nAllow: GET, HEAD") {
			t.Errorf("%.60q: %q does not say what is allowed", request, head)
		}
	}
}

func TestHEADIsAnsweredWithoutABody(t *testing.T) {
	t.Parallel()
	address := serve(t, NewStats("dev", time.Minute))
	for path, status := range map[string]string{"/health": "200 OK", "/ready": "503 Service Unavailable", "/x": "404 Not Found"} {
		answer := say(t, address, "HEAD "+path+" HTTP/1.1\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 "+status+"\r\n") || !strings.HasSuffix(answer, "\r\n\r\n") || strings.Contains(answer, "{") {
			t.Errorf("%s: %q", path, answer)
		}
		if strings.Contains(answer, "Content-Length: 0\r\n") {
			t.Errorf("%s: the length is not that of GET: %q", path, answer)
		}
	}
}

func TestASlowClientDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	address := serve(t, NewStats("dev", time.Minute))
	for range maxConnections - 1 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "GET /heal")
	}
	start := time.Now()
	for range 20 {
		if status, _ := get(t, "http://"+address+"/health"); status != 200 {
			t.Fatal(status)
		}
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("20 requests beside slow clients took %v", took)
	}
}

func TestTooManyClientsAreTurnedAwayUntilTheSlowOnesTimeIsOver(t *testing.T) {
	t.Parallel()
	address := serve(t, NewStats("dev", time.Minute))
	start := time.Now()
	var slow []net.Conn
	for range maxConnections {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "GET /health HTTP/1.1\r\n")
		slow = append(slow, conn)
	}
	for range 3 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(time.Second))
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil || os.IsTimeout(err) {
			t.Errorf("one too many was not turned away: %d, %v", n, err)
		}
	}
	for _, conn := range slow { // each dribbles, which does not give it more time
		conn.SetDeadline(time.Now().Add(2 * exchangeTime))
		io.WriteString(conn, "X: y\r\n")
		io.Copy(io.Discard, conn)
	}
	if took := time.Since(start); took < exchangeTime-time.Second || took > exchangeTime+2*time.Second {
		t.Errorf("the slow ones were let go after %v", took)
	}
	if status, _ := get(t, "http://"+address+"/health"); status != 200 {
		t.Error(status)
	}
}

// FuzzDocument makes sure that the document is JSON whatever the Bot API says.
func FuzzDocument(f *testing.F) {
	for _, detail := range []string{"", `say "no" \ `, "two\nlines\r\t\x00\x1b[31m", "\xff\xfe", "🙂\u2028", "</script>"} {
		f.Add(detail)
	}
	f.Fuzz(func(t *testing.T, detail string) {
		stats := NewStats(detail, time.Minute)
		stats.Failed("error", detail)
		text := stats.AppendJSON(nil, "ok")
		var found document
		if err := json.Unmarshal(text, &found); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if wanted := string([]rune(detail)); found.Telegram.Detail != wanted || found.Version != wanted {
			t.Fatalf("%q became %q", detail, found.Telegram.Detail)
		}
		if strings.Count(string(text), "\n") != 1 {
			t.Fatalf("%q is not one line", text)
		}
	})
}

// FuzzReadRequest holds the reader against net/http: what both take, they read as the same method and path.
func FuzzReadRequest(f *testing.F) {
	for _, seed := range []string{"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", "HEAD /ready?x HTTP/1.0\n\n", "GET //x HTTP/1.1\r\n\r\n", "\r\n\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		method, path, err := readRequest(strings.NewReader(text))
		if err != nil {
			if method != "" || path != "" {
				t.Fatalf("%q: %q %q beside %v", text, method, path, err)
			}
			return
		}
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(method+path, " \n") {
			t.Fatalf("%q: %q %q", text, method, path)
		}
		request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			return
		}
		if wanted, _, _ := strings.Cut(request.RequestURI, "?"); method != request.Method || path != wanted {
			t.Fatalf("%q: %q %q, net/http reads %q %q", text, method, path, request.Method, wanted)
		}
	})
}
