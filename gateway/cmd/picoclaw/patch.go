package main

import (
	"os"

	"slimdeploy/gateway/internal/delta"
)

// patch reads a patch for the file that is named from standard input, and writes the new file to standard output.
func patch(arguments []string) int {
	if len(arguments) != 1 {
		return wrongUsage("patch takes one file")
	}
	old, err := os.Open(arguments[0])
	if err == nil {
		var about os.FileInfo
		if about, err = old.Stat(); err == nil {
			err = delta.Apply(old, about.Size(), os.Stdin, os.Stdout)
		}
	}
	switch err {
	case nil:
		return exitOK
	case delta.ErrPatch:
		os.Stderr.WriteString("picoclaw: " + err.Error() + "\n")
		return exitData
	}
	os.Stderr.WriteString("picoclaw: " + err.Error() + "\n")
	return exitFault
}
