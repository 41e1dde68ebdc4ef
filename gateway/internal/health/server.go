//go:build !nohealth

package health

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

const (
	maxConnections = 4
	exchangeTime   = 5 * time.Second        // from accept to close: a client that dawdles holds one of few places
	placeTime      = 100 * time.Millisecond // one place may just be getting free
	maxLine        = 1024
	maxLines       = 64
)

// Serve answers GET /health, GET /ready and GET /metrics on listener, one request a connection, until the listener is closed.
func Serve(listener net.Listener, stats *Stats) {
	places := make(chan struct{}, maxConnections)
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(100 * time.Millisecond) // out of file descriptors, say: others will be closed
			continue
		}
		select {
		case places <- struct{}{}:
			go func() {
				defer func() { <-places }()
				exchange(conn, stats)
			}()
		case <-time.After(placeTime):
			conn.Close()
		}
	}
}

func exchange(conn net.Conn, stats *Stats) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(exchangeTime))
	method, path, err := readRequest(conn)
	status, kind, size := 200, "application/json", 1024
	switch {
	case err != nil:
		status = 400
	case method != "GET" && method != "HEAD":
		status = 405
	case path == "/health":
	case path == "/ready":
		if !stats.Ready() {
			status = 503
		}
	case path == "/metrics":
		kind, size = metricsType, 3072
	default:
		status = 404
	}
	answer := make([]byte, 0, size)
	answer = append(answer, "HTTP/1.1 "...)
	answer = strconv.AppendInt(answer, int64(status), 10)
	answer = append(answer, " "+reason[status]+"\r\nContent-Type: "...)
	answer = append(append(answer, kind...), "\r\nConnection: close\r\n"...)
	if status == 405 {
		answer = append(answer, "Allow: GET, HEAD\r\n"...)
	}
	answer = append(answer, "Content-Length:      \r\n\r\n"...) // spaces before a value are allowed (RFC 9112, section 5)
	start := len(answer)
	switch {
	case status == 503:
		answer = stats.AppendJSON(answer, "not ready")
	case status != 200:
		answer = append(append(append(answer, `{"status":"`...), reason[status]...), "\"}\n"...)
	case path == "/metrics":
		answer = stats.AppendMetrics(answer)
	default:
		answer = stats.AppendJSON(answer, "ok")
	}
	at := start - len("\r\n\r\n")
	for length := len(answer) - start; length > 0; length /= 10 {
		at--
		answer[at] = '0' + byte(length%10)
	}
	if method == "HEAD" {
		answer = answer[:start]
	}
	conn.Write(answer)
	if tcp, ok := conn.(*net.TCPConn); ok && (status == 400 || status == 405) {
		// Bytes that were not read would make the kernel reset the connection, and the answer could be lost.
		tcp.CloseWrite()
		io.CopyN(io.Discard, conn, 16<<10)
	}
}

var reason = map[int]string{
	200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable",
}

var errRequest = errors.New("this is no HTTP request")

// readRequest reads a request's line and fields (RFC 9112, section 3); a body is not looked at.
func readRequest(in io.Reader) (method, path string, err error) {
	lines := bufio.NewReaderSize(in, maxLine)
	for number := range maxLines {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			return "", "", err
		}
		text := strings.TrimRight(string(line), "\r\n")
		if number == 0 {
			words := strings.Split(text, " ")
			if len(words) != 3 || !strings.HasPrefix(words[2], "HTTP/1.") || !strings.HasPrefix(words[1], "/") {
				return "", "", errRequest
			}
			method = words[0]
			path, _, _ = strings.Cut(words[1], "?")
		} else if text == "" {
			return method, path, nil
		}
	}
	return "", "", errRequest
}
