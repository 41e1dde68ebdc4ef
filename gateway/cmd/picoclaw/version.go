package main

import (
	"os"
	"runtime"
	"runtime/debug"

	"slimdeploy/gateway/internal/jsonstream"
)

func showVersion(asJSON bool) int {
	tags := "none"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "-tags" && setting.Value != "" {
				tags = setting.Value
			}
		}
	}
	if !asJSON {
		os.Stdout.WriteString("picoclaw " + version + " (" + runtime.Version() + ", " + target() + ", tags " + tags + ")\n")
		return exitOK
	}
	text := jsonstream.AppendString([]byte(`{"version":`), version)
	text = jsonstream.AppendString(append(text, `,"go":`...), runtime.Version())
	text = jsonstream.AppendString(append(text, `,"target":`...), target())
	text = jsonstream.AppendString(append(text, `,"tags":`...), tags)
	os.Stdout.Write(append(text, "}\n"...))
	return exitOK
}
