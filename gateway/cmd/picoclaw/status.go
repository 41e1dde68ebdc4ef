package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"slimdeploy/gateway/internal/config"
)

const statusTime = 5 * time.Second

// showStatus asks the gateway that the config describes, over its health port. What it prints is the gateway's own word.
func showStatus(flag string, asJSON bool) int {
	settings, code := load(flag)
	if settings == nil {
		return code
	}
	address := net.JoinHostPort(reachable(settings.Health.Host), strconv.Itoa(settings.Health.Port))
	document, ready, err := ask(address)
	if err != nil {
		os.Stderr.WriteString("picoclaw: no gateway answers on " + address + "\n")
		return exitNotRunning
	}
	if asJSON {
		os.Stdout.Write(document)
		return exitOK
	}
	state := "the gateway runs and is ready\n"
	if !ready {
		state = "the gateway runs and is not ready\n"
	}
	os.Stdout.WriteString(state)
	os.Stdout.Write(document)
	return exitOK
}

// ask makes one HTTP request; the gateway answers with one document and closes.
func ask(address string) (document []byte, ready bool, err error) {
	conn, err := net.DialTimeout("tcp", address, statusTime)
	if err != nil {
		return nil, false, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(statusTime))
	if _, err := io.WriteString(conn, "GET /ready HTTP/1.1\r\nHost: "+address+"\r\nConnection: close\r\n\r\n"); err != nil {
		return nil, false, err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, 16<<10))
	if err != nil {
		return nil, false, err
	}
	head, body, found := bytes.Cut(answer, []byte("\r\n\r\n"))
	if !found || !bytes.HasPrefix(head, []byte("HTTP/1.1 ")) || !bytes.HasPrefix(body, []byte(`{"status":`)) {
		return nil, false, errStranger
	}
	return body, bytes.HasPrefix(head, []byte("HTTP/1.1 200")), nil
}

// reachable is where to ask a gateway that listens on host: one that listens everywhere is asked on loopback.
func reachable(host string) string {
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		return "127.0.0.1"
	}
	return host
}

// load reads the config; without one, the exit code that follows from that.
func load(flag string) (*config.Config, int) {
	path, err := config.Path(flag)
	var settings *config.Config
	if err == nil {
		settings, err = config.Load(path)
	}
	if err != nil {
		os.Stderr.WriteString("picoclaw: " + err.Error() + "\n")
		return nil, exitConfig
	}
	return settings, exitOK
}
