package main

import (
	"strconv"

	"slimdeploy/gateway/cmd/picoclaw/early"
	"slimdeploy/gateway/internal/logline"
	"slimdeploy/gateway/internal/pages"
)

// giveBack drops what the start has mapped up to here. From the package early on only what is needed comes in.
func giveBack() pages.Program {
	program := early.Program
	if early.Fault != nil {
		logline.Warn("the whole binary may become resident", "error", early.Fault.Error())
		return program
	}
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
