// Package pages gives back memory that only the start of a program needed.
package pages

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

const elfTypeExec = 2 // ET_EXEC, elf(5)

// Release drops the pages of the program's own read-only mappings from this process (madvise(2), MADV_DONTNEED). They
// are the file's, unchanged, so the kernel brings back what is needed again; it maps 64 KiB around each fault, so that
// by the end of start-up nearly the whole binary is resident, most of it never to be run again.
//
// It returns how many bytes were given up for now; 0 where the program is position-independent, because the loader has
// then written into pages that are read-only by now, and they would come back without what was written.
func Release() (released int, err error) {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return 0, err
	}
	if fixed, err := isFixed(); err != nil || !fixed {
		return 0, err
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(maps) {
		start, end, ok := ownReadOnly(line, exe)
		if !ok {
			continue
		}
		if _, _, failed := syscall.Syscall(syscall.SYS_MADVISE, start, end-start, syscall.MADV_DONTNEED); failed != 0 {
			return released, failed
		}
		released += int(end - start)
	}
	return released, nil
}

// ownReadOnly reads one line of /proc/PID/maps (proc(5)): "start-end perms offset dev inode path".
func ownReadOnly(line []byte, exe string) (start, end uintptr, ok bool) {
	fields := bytes.Fields(line)
	if len(fields) < 6 || len(fields[1]) != 4 || fields[1][0] != 'r' || fields[1][1] != '-' || fields[1][3] != 'p' {
		return 0, 0, false
	}
	if !bytes.HasSuffix(bytes.TrimRight(line, "\n"), []byte(" "+exe)) {
		return 0, 0, false
	}
	low, high, found := bytes.Cut(fields[0], []byte("-"))
	if !found {
		return 0, 0, false
	}
	from, err := strconv.ParseUint(string(low), 16, strconv.IntSize)
	if err != nil {
		return 0, 0, false
	}
	to, err := strconv.ParseUint(string(high), 16, strconv.IntSize)
	if err != nil || to <= from {
		return 0, 0, false
	}
	return uintptr(from), uintptr(to), true
}

func isFixed() (bool, error) {
	file, err := os.Open("/proc/self/exe")
	if err != nil {
		return false, err
	}
	defer file.Close()
	var header [18]byte
	if _, err := file.ReadAt(header[:], 0); err != nil {
		return false, err
	}
	kind := int(header[16]) | int(header[17]) // one of the two bytes is 0, whatever the byte order
	return kind == elfTypeExec, nil
}
