package main

import (
	"os"
	"runtime"
	"runtime/pprof"
)

// profiled is how many allocated bytes stand for one sample. The runtime's own 512 KiB would miss all of this gateway.
const profiled = 512

// startProfile takes samples where a profile is wanted, and none where it is not: they cost memory.
func startProfile(path string) {
	runtime.MemProfileRate = 0
	if path != "" {
		runtime.MemProfileRate = profiled
	}
}

// writeProfile writes what is in use, after a collection; nothing where path is "".
func writeProfile(path string) error {
	if path == "" {
		return nil
	}
	runtime.GC()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = pprof.WriteHeapProfile(file)
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}
