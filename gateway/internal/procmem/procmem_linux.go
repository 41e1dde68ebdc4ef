// Package procmem reads how much memory this process uses, as the kernel counts it.
package procmem

import (
	"bytes"
	"errors"
	"os"
)

// Usage is in KiB; what /proc calls kB (proc(5)).
type Usage struct {
	RSS, Peak, Anon, File int64
}

// Read asks the kernel.
func Read() (Usage, error) {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return Usage{}, err
	}
	defer file.Close()
	var text [4096]byte // the file has some 1,500 bytes
	n, err := file.Read(text[:])
	if err != nil {
		return Usage{}, err
	}
	return parse(text[:n])
}

func parse(text []byte) (Usage, error) {
	var usage Usage
	found := 0
	for len(text) > 0 {
		line, rest, _ := bytes.Cut(text, []byte{'\n'})
		text = rest
		name, value, _ := bytes.Cut(line, []byte{':'})
		var to *int64
		switch string(name) {
		case "VmRSS":
			to = &usage.RSS
		case "VmHWM":
			to = &usage.Peak
		case "RssAnon":
			to = &usage.Anon
		case "RssFile":
			to = &usage.File
		default:
			continue
		}
		for _, c := range value {
			if '0' <= c && c <= '9' {
				*to = *to*10 + int64(c-'0')
			}
		}
		found++
	}
	if usage.RSS == 0 || found < 2 {
		return Usage{}, errors.New("/proc/self/status has no VmRSS")
	}
	return usage, nil
}
