package maker

import (
	"encoding/binary"
	"math/bits"
)

// piece is a stretch of the new file that lies, but for some changes, in the old one; what follows up to the next piece
// does not.
type piece struct{ new, old, length int }

// Chosen by measuring builds of the gateway for five processors.
const (
	seed       = 8   // bytes that a place in old must have in common with one in new to be looked at
	seedBits   = 20  // of the table of seeds
	candidates = 32  // places with one seed that are looked at, at most
	near       = 16  // words to both sides of where the last piece goes on that are looked at
	window     = 64  // bytes by which a place is judged
	least      = 16  // of them that must be alike
	better     = 8   // more of them than where the last piece goes on
	good       = 48  // of them for which nothing better is looked for
	patience   = 512 // places tried in vain before every second one is left out, then two of three, and so on
)

type matcher struct {
	old, new []byte
	shift    int     // from a seed's hash to its place in head
	head     []int32 // for each seed, 1 more than its first place in old; 0 where there is none
	next     []int32 // for each place in old, the next with the same seed, likewise
}

// match finds the pieces, in the order of the new file. Each begins in old with a shift, which is where its first byte is
// there less where it is in new.
//
// It does not look for a longest equal run: in a piece addresses have changed, often every few bytes, and in a table of
// addresses all of them, by the same. So a place is judged by a window: by how many bytes are equal there, or have changed
// as those before them. And a piece goes on over what has changed for as long as nothing is better.
func match(old, new []byte) []piece {
	m := matcher{old: old, new: new}
	m.index()
	pieces := []piece{{}}
	shift := 0 // of the last piece
	vain, again := 0, 0
	for at := range new {
		if at < again {
			continue
		}
		if place := at + shift; place >= 0 && place < len(old) && old[place] == new[at] {
			continue
		}
		stays := m.score(at, shift)
		if stays >= good {
			continue
		}
		if found, score := m.find(at, shift); score >= least && score > stays+better {
			shift = found
			pieces = append(pieces, piece{new: at, old: at + shift})
			vain = 0
		} else {
			vain++ // a piece that is found late also grows to the front
			again = at + 1 + vain/patience
		}
	}
	m.fit(pieces)
	return pieces
}

func (m *matcher) index() {
	width := min(bits.Len(uint(len(m.old))), seedBits)
	m.shift = 64 - width
	m.head = make([]int32, 1<<width)
	m.next = make([]int32, len(m.old))
	for at := len(m.old) - seed; at >= 0; at-- {
		h := m.hash(m.old[at:])
		m.next[at] = m.head[h]
		m.head[h] = int32(at) + 1
	}
}

func (m *matcher) hash(b []byte) uint64 {
	return binary.LittleEndian.Uint64(b) * 0x9E3779B97F4A7C15 >> m.shift // 2^64 divided by the golden ratio
}

// find is the shift with which new[at:] is most alike: one with the same seed, else one near where the last piece goes on.
func (m *matcher) find(at, last int) (shift, best int) {
	try := func(other int) {
		if at+other < 0 || at+other >= len(m.old) {
			return
		}
		if score := m.score(at, other); score > best {
			shift, best = other, score
		}
	}
	if at+seed <= len(m.new) {
		place := m.head[m.hash(m.new[at:])]
		for range candidates {
			if place == 0 {
				break
			}
			if old := int(place) - 1; binary.LittleEndian.Uint64(m.old[old:]) == binary.LittleEndian.Uint64(m.new[at:]) {
				try(old - at)
			}
			place = m.next[place-1]
		}
	}
	if best < good && at%word == 0 {
		for words := -near; words <= near; words++ {
			try(last&^(word-1) + words*word)
		}
	}
	return shift, best
}

// score is how many bytes of a window around at are equal, or are in a word that has changed by as much as one of the two
// before it.
func (m *matcher) score(at, shift int) (alike int) {
	at = max(at&^(word-1), -shift)
	if at+shift >= len(m.old) || at >= len(m.new) {
		return 0
	}
	a, b := m.new[at:], m.old[at+shift:]
	n := min(window, len(a), len(b))
	var last, before uint32 // changes
	for i := 0; i+word <= n; i += word {
		x, y := binary.LittleEndian.Uint32(a[i:]), binary.LittleEndian.Uint32(b[i:])
		change := x - y
		if change == 0 || change == last || change == before {
			alike += word
		} else {
			const low = 0x7F7F7F7F // each byte that differs leaves its highest bit
			differ := x ^ y
			alike += word - bits.OnesCount32((differ&low+low|differ)&^low)
		}
		last, before = change, last
	}
	return alike
}
