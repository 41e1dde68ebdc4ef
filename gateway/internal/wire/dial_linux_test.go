package wire

import (
	"errors"
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestAnInterruptEndsAConnect talks to a port whose queue of waiting connections is full: the kernel answers no SYN there.
func TestAnInterruptEndsAConnect(t *testing.T) {
	t.Parallel()
	listener, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(listener)
	if err := syscall.Bind(listener, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(listener, 0); err != nil {
		t.Fatal(err)
	}
	address, err := syscall.Getsockname(listener)
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(address.(*syscall.SockaddrInet4).Port)
	for full := false; !full; {
		conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, 100*time.Millisecond)
		if full = err != nil; !full {
			defer conn.Close()
		}
	}
	client := NewClient(Endpoint{Host: "127.0.0.1", Port: port}, nil)
	ended := make(chan error, 1)
	go func() {
		_, _, err := post(client, "{}")
		ended <- err
	}()
	time.Sleep(50 * time.Millisecond)
	start := time.Now()
	client.Interrupt()
	err = <-ended
	if took := time.Since(start); !errors.Is(err, ErrInterrupted) || took > 100*time.Millisecond {
		t.Errorf("%v after %v", err, took)
	}
}
