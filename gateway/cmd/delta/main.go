// Command delta makes the patch that `picoclaw patch` turns an old program into a new one with (package internal/delta).
package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"

	"slimdeploy/gateway/internal/delta"
	"slimdeploy/gateway/internal/delta/maker"
)

const usage = `delta: what changed from one program to another, for gunzip -c PATCH | picoclaw patch OLD >NEW

  delta OLD NEW >PATCH    the patch, gzip-compressed; its size and the files' to standard error

Exit codes: 0 fine, 1 a fault, 2 wrong usage.
`

// errDiffers can't happen; that it has not is worth the few milliseconds.
var errDiffers = errors.New("the patch does not make the new file")

func main() {
	if len(os.Args) != 3 {
		os.Stderr.WriteString(usage)
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "delta:", err)
		os.Exit(1)
	}
}

func run(oldPath, newPath string, out, told io.Writer) error {
	old, err := os.ReadFile(oldPath)
	if err != nil {
		return err
	}
	new, err := os.ReadFile(newPath)
	if err != nil {
		return err
	}
	patch, err := maker.Make(old, new)
	if err != nil {
		return err
	}
	if err := prove(old, new, patch); err != nil {
		return err
	}
	if _, err := out.Write(patch); err != nil {
		return err
	}
	_, err = fmt.Fprintf(told, "old %d bytes, new %d bytes, patch %d bytes\n", len(old), len(new), len(patch))
	return err
}

// prove applies the patch as a board would.
func prove(old, new, patch []byte) error {
	steps, err := gzip.NewReader(bytes.NewReader(patch))
	if err != nil {
		return err
	}
	var made bytes.Buffer
	if err := delta.Apply(bytes.NewReader(old), int64(len(old)), steps, &made); err != nil {
		return err
	}
	if !bytes.Equal(made.Bytes(), new) {
		return errDiffers
	}
	return nil
}
