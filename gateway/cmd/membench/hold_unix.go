//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// holders makes what stops this process until SIGCONT comes, and what waits for SIGCONT while the rest of it runs.
func holders() (stop, wait func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGCONT)
	wait = func() { <-signals }
	stop = func() {
		syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		wait()
	}
	return stop, wait
}
