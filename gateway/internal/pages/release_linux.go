// Package pages gives back memory that only the start of a program needed.
package pages

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"strconv"
	"syscall"
)

// Of elf(5).
const (
	elfTypeExec       = 2 // ET_EXEC
	elfSegmentDynamic = 2 // PT_DYNAMIC
	elfSegmentInterp  = 3 // PT_INTERP
	elfSegmentRelro   = 0x6474e552
)

// Program is where the program's own read-only mappings lie: its text and its constants.
type Program struct {
	spans []span
}

type span struct{ start, end uintptr }

// Own finds them. There are none where the program is position-independent or linked with libc: the loader has then
// written into pages that are read-only by now, and they would come back without what was written.
func Own() (Program, error) {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return Program{}, err
	}
	file, err := os.Open("/proc/self/exe")
	if err != nil {
		return Program{}, err
	}
	defer file.Close()
	if fixed, err := isFixed(file); err != nil || !fixed {
		return Program{}, err
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return Program{}, err
	}
	var program Program
	for line := range bytes.Lines(maps) {
		if start, end, ok := ownReadOnly(line, exe); ok {
			program.spans = append(program.spans, span{start, end})
		}
	}
	return program, nil
}

// Narrow makes the kernel bring in less around each page that is needed. It is called once, as early as possible.
func (p Program) Narrow() {
	for _, s := range p.spans {
		split(s.start, s.end)
	}
}

// Release drops the pages from this process (madvise(2), MADV_DONTNEED). They are the file's, unchanged; what is run again
// comes back. What only the start needed does not.
//
// It returns how many bytes are mapped so.
func (p Program) Release() (mapped int, err error) {
	for _, s := range p.spans {
		if err := advise(s.start, s.end, syscall.MADV_DONTNEED); err != nil {
			return mapped, err
		}
		mapped += int(s.end - s.start)
	}
	return mapped, nil
}

// madvDontDump leaves a range out of core dumps (madvise(2), since Linux 3.4). The syscall package has no name for it.
const madvDontDump = 16

// split makes many mappings of one, by giving every second page a flag that its neighbours lack: around a fault the kernel
// maps up to 64 KiB, but never beyond the end of a mapping (mm/memory.c, do_fault_around). Each mapping costs the kernel
// some 200 bytes, several times less than it saves. The flag itself changes nothing: read-only pages of a file are left
// out of core dumps anyway (core(5), the default coredump_filter). A kernel that does not know it keeps the one mapping,
// and only more pages come back.
func split(start, end uintptr) {
	size := uintptr(os.Getpagesize())
	for at := start + size; at < end; at += 2 * size {
		if advise(at, min(at+size, end), madvDontDump) != nil {
			return
		}
	}
}

func advise(start, end uintptr, advice uintptr) error {
	if _, _, failed := syscall.Syscall(syscall.SYS_MADVISE, start, end-start, advice); failed != 0 {
		return failed
	}
	return nil
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

// isFixed tells whether the program runs as it stands in its file: at a fixed address, without a loader's changes.
func isFixed(file io.ReaderAt) (bool, error) {
	header := make([]byte, 64)
	if _, err := file.ReadAt(header, 0); err != nil {
		return false, err
	}
	var order binary.ByteOrder = binary.LittleEndian
	if header[5] == 2 { // ELFDATA2MSB
		order = binary.BigEndian
	}
	table, size, number := int64(order.Uint32(header[28:])), order.Uint16(header[42:]), order.Uint16(header[44:])
	if header[4] == 2 { // ELFCLASS64
		table, size, number = int64(order.Uint64(header[32:])), order.Uint16(header[54:]), order.Uint16(header[56:])
	}
	if order.Uint16(header[16:]) != elfTypeExec {
		return false, nil
	}
	var kind [4]byte
	for i := range int64(number) {
		if _, err := file.ReadAt(kind[:], table+i*int64(size)); err != nil {
			return false, err
		}
		switch order.Uint32(kind[:]) {
		case elfSegmentDynamic, elfSegmentInterp, elfSegmentRelro:
			return false, nil
		}
	}
	return true, nil
}
