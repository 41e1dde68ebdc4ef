// Package early narrows what the kernel maps of the binary while most packages are not initialised yet. The initialisation
// of Go's own library touches the binary nearly everywhere; with 64 KiB around each place that was most of it, and the peak
// of the whole run.
//
// A package is initialised when those that it imports are, and of several the one with the first import path (Go's
// specification, "Program initialization"): this one comes before the gateway's others, and after many of Go's.
package early

import (
	"os"

	"slimdeploy/gateway/internal/pages"
)

// Program is the binary's mappings, none where the command is not one that stays; Fault is what kept them from being found.
var Program, Fault = narrowed()

func narrowed() (program pages.Program, err error) {
	if len(os.Args) < 2 || (os.Args[1] != "gateway" && os.Args[1] != "simulate") {
		return program, nil // it ends at once: the narrowing would take longer
	}
	if program, err = pages.Own(); err != nil {
		return program, err
	}
	program.Narrow()
	_, err = program.Release()
	return program, err
}
