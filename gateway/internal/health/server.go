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

// Serve answers GET /health and GET /ready on listener, one request a connection, until the listener is closed.
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
	status, body := 200, []byte(nil)
	switch {
	case err != nil:
		status = 400
	case method != "GET" && method != "HEAD":
		status = 405
	case path == "/health":
		body = stats.AppendJSON(make([]byte, 0, 512), "ok")
	case path == "/ready" && stats.Ready():
		body = stats.AppendJSON(make([]byte, 0, 512), "ok")
	case path == "/ready":
		status, body = 503, stats.AppendJSON(make([]byte, 0, 512), "not ready")
	default:
		status = 404
	}
	if body == nil {
		body = []byte(`{"status":"` + reason[status] + "\"}\n")
	}
	answer := make([]byte, 0, 640)
	answer = append(answer, "HTTP/1.1 "...)
	answer = strconv.AppendInt(answer, int64(status), 10)
	answer = append(answer, " "+reason[status]+"\r\nContent-Type: application/json\r\nConnection: close\r\n"...)
	if status == 405 {
		answer = append(answer, "Allow: GET, HEAD\r\n"...)
	}
	answer = append(answer, "Content-Length: "...)
	answer = strconv.AppendInt(answer, int64(len(body)), 10)
	answer = append(answer, "\r\n\r\n"...)
	if method != "HEAD" {
		answer = append(answer, body...)
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
