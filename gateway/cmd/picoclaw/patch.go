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
		err = delta.Apply(old, os.Stdin, os.Stdout)
	}
	code := exitOK
	if err != nil {
		os.Stderr.WriteString("picoclaw: " + err.Error() + "\n")
		code = exitFault
		if err == delta.ErrPatch {
			code = exitData
		}
	}
	return code
}
