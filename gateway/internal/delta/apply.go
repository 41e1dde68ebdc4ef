package delta

import (
	"errors"
	"io"
)

// ErrPatch says that the patch is at fault, or is for another file.
var ErrPatch = errors.New("the patch is damaged, cut short or for another file")

// Apply reads a patch for old, which has oldLength bytes, and writes the new file. It holds three buffers of 4 KiB and
// nothing else. A patch is a stranger's: whatever is in it, no more than the new length that it names is written, and
// nothing but old is read. That the result is the right one is not proved. Where the error is not ErrPatch, a file can't be
// read or written.
//
// The code is short rather than quick: every board carries it, and writing the file takes longer.
func Apply(old io.ReaderAt, oldLength int64, patch io.Reader, new io.Writer) error {
	a := &applier{patch: input{stream: patch}, old: input{file: old}, new: new}
	for i := range len(Magic) {
		if a.next(&a.patch) != int64(Magic[i]) {
			a.left = bad
		}
	}
	if a.number() != oldLength {
		a.left = bad
	}
	for a.left += a.number(); a.left > 0; {
		a.take(&a.old, a.number(), 0)
		if change := a.signed(); change != 0 {
			a.take(&a.old, Word, change)
			continue
		}
		a.old.at += a.signed()
		a.old.buffered = 0
		a.take(&a.patch, a.number(), 0)
	}
	whole := a.left == 0
	if a.flush(); a.err == nil && whole {
		a.next(&a.patch) // which is to find the end
		whole = a.left < 0
	}
	if a.err == nil && !whole {
		return ErrPatch
	}
	return a.err
}

// bad, or any other negative number, as what is left of the new file says that the patch is at fault. No sum of numbers of
// five bytes brings it back above 0.
const bad = -1 << 40

type applier struct {
	patch, old input
	new        io.Writer
	left       int64 // bytes of the new file that are still to come
	err        error // the first of a file
	ready      int   // bytes of out
	out        [4 << 10]byte
}

// input is read from stream, or from file at at.
type input struct {
	stream   io.Reader
	file     io.ReaderAt
	at       int64
	buffered int // bytes at the end of buffer
	buffer   [4 << 10]byte
	_        [0]func() // can't be compared: else code that does so would be linked
}

// next is the next byte, 0 where there is none.
func (a *applier) next(from *input) int64 {
	if from.buffered == 0 {
		n, err := 0, io.EOF
		if from.stream != nil {
			n, err = from.stream.Read(from.buffer[:])
		} else if from.at >= 0 {
			n, err = from.file.ReadAt(from.buffer[:], from.at)
		}
		if n == 0 {
			a.left = bad
			if err != io.EOF && a.err == nil {
				a.err = err
			}
			return 0
		}
		copy(from.buffer[len(from.buffer)-n:], from.buffer[:n])
		from.buffered = n
	}
	c := from.buffer[len(from.buffer)-from.buffered]
	from.buffered--
	from.at++
	return int64(c)
}

func (a *applier) number() (value int64) {
	for shift := 0; shift < 35; shift += 7 {
		c := a.next(&a.patch)
		value |= c & 0x7F << shift
		if c < 0x80 {
			return value
		}
	}
	a.left = bad
	return 0
}

func (a *applier) signed() int64 {
	value := a.number()
	return value>>1 ^ -(value & 1)
}

// take makes the next n bytes, and adds change to them, little-endian.
func (a *applier) take(from *input, n, change int64) {
	for a.left -= n; n > 0 && a.left >= 0; n-- {
		change += a.next(from)
		if a.ready == len(a.out) {
			a.flush()
		}
		a.out[a.ready] = byte(change)
		a.ready++
		change >>= 8
	}
}

func (a *applier) flush() {
	if _, err := a.new.Write(a.out[:a.ready]); err != nil && a.err == nil {
		a.err, a.left = err, bad
	}
	a.ready = 0
}
