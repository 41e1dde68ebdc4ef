package delta

import (
	"errors"
	"io"
	"os"
)

// ErrPatch says that the patch is at fault, or is for another file.
var ErrPatch = errors.New("the patch is damaged, cut short or for another file")

// Apply reads a patch and writes the new file. It holds three small buffers and nothing else. A patch is a stranger's:
// whatever is in it, no more than the new length that it names is written, and nothing but old is read. That the result is
// the right one is not proved. Where the error is not ErrPatch, a file can't be read or written.
//
// The code is short rather than quick: every board carries it.
func Apply(old, patch, new *os.File) error {
	about, err := old.Stat()
	if err != nil {
		return err
	}
	a := &applier{new: new}
	a.old.file, a.patch.file, a.patch.stream = old, patch, true
	for i := range len(magic) {
		if a.next(&a.patch) != int64(magic[i]) {
			a.left = bad
		}
	}
	if a.number() != about.Size() {
		a.left = bad
	}
	for a.left += a.number(); a.left > 0; {
		a.take(&a.old, a.number(), 0)
		if change := a.signed(); change != 0 {
			a.take(&a.old, word, change)
			continue
		}
		a.old.at += a.signed()
		a.old.buffered = 0
		a.take(&a.patch, a.number(), 0)
	}
	if a.flush(); a.err == nil && a.left != 0 {
		return ErrPatch
	}
	return a.err
}

const bad = -1 << 40

type applier struct {
	patch, old input
	new        *os.File
	left       int64 // bytes of the new file
	err        error // the first; what follows it does nothing
	ready      int
	out        [4 << 10]byte
}

type input struct {
	file     *os.File
	stream   bool
	at       int64 // in file
	buffered int
	buffer   [4 << 10]byte
}

// next is the next byte, 0 where there is none.
func (a *applier) next(from *input) int64 {
	if from.buffered == 0 {
		n, err := 0, io.EOF
		if from.stream {
			n, err = from.file.Read(from.buffer[:])
		} else if from.at >= 0 {
			n, err = from.file.ReadAt(from.buffer[:], from.at)
		}
		if n == 0 {
			a.left = bad
			if err != io.EOF {
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
	a.left -= n
	for ; n > 0 && a.left >= 0; n-- {
		change += a.next(from)
		a.out[a.ready] = byte(change)
		change >>= 8
		if a.ready++; a.ready == len(a.out) {
			a.flush()
		}
	}
}

func (a *applier) flush() {
	if _, err := a.new.Write(a.out[:a.ready]); err != nil && a.err == nil {
		a.err = err
		a.left = bad
	}
	a.ready = 0
}
