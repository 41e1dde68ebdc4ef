package main

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestAGatewayWithoutItsResponderAnswersMessagesAndNobodyElse(t *testing.T) {
	t.Parallel()
	path, err := built("picoclaw-nohealth", tags+",nohealth")
	if err != nil {
		t.Fatal(err)
	}
	without := func(arguments ...string) *process {
		c := exec.Command(path, arguments...)
		c.Env = append(os.Environ(), limits...)
		return begin(t, c)
	}
	api := newTelegramAPI(t)
	config, port := api.configured(t, nil)
	p := without("gateway", "--config", config)
	api.deliver(t, 3)
	if conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
		conn.Close()
		t.Error("something listens on the health port")
	}
	asked := without("status", "--config", config)
	if code := asked.code(t); code != exitUnknown || !strings.Contains(asked.stderr.String(), "built with nohealth") || asked.stdout.Len() != 0 {
		t.Errorf("%d, %q, %q", code, &asked.stdout, &asked.stderr)
	}
	p.Process.Signal(syscall.SIGTERM)
	if code := p.code(t); code != exitOK {
		t.Errorf("code %d: %s", code, &p.stderr)
	}
	said := p.stderr.String()
	if strings.Count(said, "built with nohealth: /health, /ready and /metrics are not served") != 1 || !strings.Contains(said, " health=none ") {
		t.Error(said)
	}
	whole, err := program()
	if err != nil {
		t.Fatal(err)
	}
	smaller, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	larger, err := os.Stat(whole)
	if err != nil || smaller.Size() >= larger.Size() {
		t.Errorf("%d bytes, and %d with the responder, %v", smaller.Size(), larger.Size(), err)
	}
}
