// Package procmem reads how much memory this process uses, as the kernel counts it.
package procmem

import (
	"syscall"
	"unsafe"
)

// Usage is in KiB. Windows tells the working set and its peak; Anon is the private part, File is not told.
type Usage struct {
	RSS, Peak, Anon, File int64
}

// counters is PROCESS_MEMORY_COUNTERS_EX (psapi.h).
type counters struct {
	size, pageFaults                 uint32
	peakWorkingSet, workingSet       uintptr
	quotaPeakPaged, quotaPaged       uintptr
	quotaPeakNonPaged, quotaNonPaged uintptr
	pagefile, peakPagefile, private  uintptr
}

var getProcessMemoryInfo = syscall.NewLazyDLL("kernel32.dll").NewProc("K32GetProcessMemoryInfo")

// Read asks the kernel.
func Read() (Usage, error) {
	process, err := syscall.GetCurrentProcess()
	if err != nil {
		return Usage{}, err
	}
	var found counters
	found.size = uint32(unsafe.Sizeof(found))
	ok, _, err := getProcessMemoryInfo.Call(uintptr(process), uintptr(unsafe.Pointer(&found)), uintptr(found.size))
	if ok == 0 {
		return Usage{}, err
	}
	return Usage{RSS: int64(found.workingSet >> 10), Peak: int64(found.peakWorkingSet >> 10), Anon: int64(found.private >> 10)}, nil
}
