//go:build nohealth

package main

import (
	"os"

	"slimdeploy/gateway/internal/config"
	"slimdeploy/gateway/internal/health"
	"slimdeploy/gateway/internal/logline"
)

// serveHealth says once that nobody will be answered.
func serveHealth(*config.Config, *health.Stats) (address string, closed func() error, err error) {
	logline.Info("this binary was built with nohealth: /health, /ready and /metrics are not served")
	return "none", func() error { return nil }, nil
}

func showStatus(flag string, _ bool) int {
	if settings, code := load(flag); settings == nil {
		return code
	}
	os.Stderr.WriteString("picoclaw: this binary was built with nohealth: no gateway of its kind can be asked how it is\n")
	return exitUnknown
}
