package main

import (
	"strconv"

	"slimdeploy/gateway/internal/logline"
	"slimdeploy/gateway/internal/pages"
)

// narrow keeps the start from mapping most of the binary: what the runtime has mapped up to here is given back, and from
// now on only what is needed comes in.
func narrow() pages.Program {
	program, err := pages.Own()
	if err != nil {
		logline.Warn("the whole binary may become resident", "error", err.Error())
		return program
	}
	program.Narrow()
	mapped := drop(program)
	logline.Info("the pages of the start are given back", "mapped_kib", strconv.Itoa(mapped/1024))
	return program
}

func drop(program pages.Program) (mapped int) {
	mapped, err := program.Release()
	if err != nil {
		logline.Warn("the pages of the start are kept", "error", err.Error())
	}
	return mapped
}
