//go:build !pprof

package main

func startProfiler() {}
