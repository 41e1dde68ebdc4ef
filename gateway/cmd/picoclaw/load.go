package main

import (
	"os"

	"slimdeploy/gateway/internal/config"
)

// load reads the config; without one, the exit code that follows from that.
func load(flag string) (*config.Config, int) {
	path, err := config.Path(flag)
	var settings *config.Config
	if err == nil {
		settings, err = config.Load(path)
	}
	if err != nil {
		os.Stderr.WriteString("picoclaw: " + err.Error() + "\n")
		return nil, exitConfig
	}
	return settings, exitOK
}
