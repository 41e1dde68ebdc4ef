//go:build !telegram

package main

import "os"

func simulate([]string) int {
	os.Stderr.WriteString("picoclaw: this binary was built without a channel, so there is nothing to simulate; build it with -tags telegram\n")
	return exitFault
}
