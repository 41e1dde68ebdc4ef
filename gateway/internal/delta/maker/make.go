// Package maker knows how to make the patch that package delta applies. It is apart from that so that no gateway links it.
package maker

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"

	"slimdeploy/gateway/internal/delta"
)

// word is how many bytes a change is added to.
const word = delta.Word

// MaxLength bounds both files, in bytes.
const MaxLength = 1 << 30

// ErrLength says that a file is too long.
var ErrLength = errors.New("a file of more than 1 GiB takes no patch")

// Make makes the patch that turns old into new, gzip-compressed: the same bytes for the same two files, under one Go. It
// takes some 60 MB of memory for two programs of 5 MB. It returns an error only where a file is too long.
func Make(old, new []byte) ([]byte, error) {
	if len(old) > MaxLength || len(new) > MaxLength {
		return nil, ErrLength
	}
	pieces := match(old, new)
	var best []byte
	// What the addresses in a file are aligned to is the processor's, and what fits it best is the shortest.
	for align := word; align > 0; align /= 2 {
		if packed := pack(steps(old, new, pieces, align)); best == nil || len(packed) < len(best) {
			best = packed
		}
	}
	return best, nil
}

func pack(patch []byte) []byte {
	var packed bytes.Buffer
	// Neither can fail: the level is known, and a Buffer takes all.
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	w.Write(patch)
	w.Close()
	return packed.Bytes()
}

// steps is the patch, uncompressed, with changed words that begin at multiples of align in the new file, as far as there is
// room.
func steps(old, new []byte, pieces []piece, align int) []byte {
	patch := binary.AppendUvarint([]byte(delta.Magic), uint64(len(old)))
	patch = binary.AppendUvarint(patch, uint64(len(new)))
	made, at := 0, 0 // so far: bytes of new; where old is read next
	gap := 0         // bytes of a piece before made that no step has yet
	for i := 0; made < len(new) || gap > 0; i++ {
		next := piece{new: len(new), old: at}
		if i < len(pieces) {
			next = pieces[i]
		}
		if gap > 0 || made < next.new || at != next.old {
			patch = binary.AppendUvarint(patch, uint64(gap))
			patch = binary.AppendVarint(patch, 0)
			patch = binary.AppendVarint(patch, int64(next.old-at))
			patch = binary.AppendUvarint(patch, uint64(next.new-made))
			patch = append(patch, new[made:next.new]...)
			made, at, gap = next.new, next.old, 0
		}
		for end := made + next.length; made+gap < end; {
			if old[at] == new[made+gap] {
				gap++
				at++
				continue
			}
			back := min((made+gap)%align, gap)
			start := made + gap - back
			if start+word > end {
				break // the rest is literal
			}
			change := binary.LittleEndian.Uint32(new[start:]) - binary.LittleEndian.Uint32(old[at-back:])
			patch = binary.AppendUvarint(patch, uint64(gap-back))
			patch = binary.AppendVarint(patch, int64(int32(change)))
			made, at, gap = start+word, at-back+word, 0
		}
		made += gap
	}
	return patch
}
