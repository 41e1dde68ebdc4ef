//go:build pprof

package main

import (
	"net"
	"net/http"
	_ "net/http/pprof" // its handlers register themselves
	"os"
	"runtime"
	"time"

	"slimdeploy/gateway/internal/logline"
)

// profiled is how many allocated bytes stand for one sample of a heap profile. By the runtime's own 512 KiB a gateway of
// one megabyte would have two.
const profiled = 512

// Before anything else of the gateway allocates.
func init() {
	if os.Getenv("PPROF") == "1" {
		runtime.MemProfileRate = profiled
	}
}

// startProfiler serves /debug/pprof on 127.0.0.1, where PPROF=1 asks for it; on port PPROF_PORT, or 6060.
func startProfiler() {
	if os.Getenv("PPROF") != "1" {
		return
	}
	port := os.Getenv("PPROF_PORT")
	if port == "" {
		port = "6060"
	}
	server := &http.Server{Addr: net.JoinHostPort("127.0.0.1", port), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		logline.Info("the profiler listens", "address", server.Addr)
		logline.Error("the profiler ended", "error", server.ListenAndServe().Error())
	}()
}
