//go:build !nohealth

package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"slimdeploy/gateway/internal/jsonstream"
)

const (
	statusTime = 5 * time.Second
	maxStatus  = 16 << 10
)

var (
	errStranger = errors.New("what listens there is no picoclaw")
	errSilent   = errors.New("what listens there gives no answer")
)

// showStatus asks the gateway that the config describes, over its health port, and tells what it says of itself.
func showStatus(flag string, asJSON bool) int {
	settings, code := load(flag)
	if settings == nil {
		return code
	}
	address := net.JoinHostPort(reachable(settings.Health.Host), strconv.Itoa(settings.Health.Port))
	document, err := ask(address)
	var said answer
	if err == nil {
		said, err = parseAnswer(document)
	}
	var text []byte
	switch {
	case err == nil && asJSON:
		text = document
	case err == nil:
		text = said.appendText(nil, time.Now())
	case errors.Is(err, errStranger) || errors.Is(err, syscall.ECONNREFUSED):
		code, text = exitNotRunning, absence(asJSON, "not running", "picoclaw does not run", address, err)
	default:
		code, text = exitUnknown, absence(asJSON, "unknown", "it can't be told whether picoclaw runs", address, err)
	}
	os.Stdout.Write(text)
	return code
}

// absence tells that no gateway answered, and what was met on the address instead.
func absence(asJSON bool, status, sentence, address string, err error) []byte {
	detail := err.Error() + " (" + address + ")"
	if errors.Is(err, syscall.ECONNREFUSED) {
		detail = "nothing listens on " + address
	}
	if !asJSON {
		return append([]byte(sentence+": "+detail), '\n')
	}
	text := jsonstream.AppendString([]byte(`{"status":`), status)
	text = jsonstream.AppendString(append(text, `,"detail":`...), detail)
	return append(text, "}\n"...)
}

// ask makes one HTTP request; the gateway answers with one document and closes. The error is errSilent where something
// accepts connections but says nothing, errStranger where it says something else, and the dialer's where nothing listens.
func ask(address string) (document []byte, err error) {
	conn, err := net.DialTimeout("tcp", address, statusTime)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(statusTime))
	// What can't be written is not read either.
	io.WriteString(conn, "GET /ready HTTP/1.1\r\nHost: "+address+"\r\nConnection: close\r\n\r\n")
	text, err := io.ReadAll(io.LimitReader(conn, maxStatus))
	if len(text) == 0 {
		return nil, errSilent // a gateway that has no place free closes at once
	}
	head, body, found := bytes.Cut(text, []byte("\r\n\r\n"))
	if err != nil || !found || !bytes.HasPrefix(head, []byte("HTTP/1.1 ")) {
		return nil, errStranger
	}
	return body, nil
}

// reachable is where to ask a gateway that listens on host: one that listens everywhere is asked on loopback.
func reachable(host string) string {
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		return "127.0.0.1"
	}
	return host
}
