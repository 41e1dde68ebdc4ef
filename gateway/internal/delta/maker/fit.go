package maker

import "encoding/binary"

// meeting is how far back the end of a piece is disputed, in bytes.
const meeting = 4 << 10

// fit settles where each piece begins and ends: it goes on for as long as it pays, and where it meets the next one, where
// most bytes are equal.
func (m *matcher) fit(pieces []piece) {
	for i := range pieces {
		p := &pieces[i]
		if i+1 == len(pieces) {
			p.length = m.ahead(*p, len(m.new))
			return
		}
		next := &pieces[i+1]
		p.length = m.ahead(*p, next.new)
		back := m.behind(*next, p.new+max(0, p.length-meeting))
		if overlap := p.new + p.length - (next.new - back); overlap > 0 {
			start := p.length - overlap
			first := m.divide(overlap, p.new+start, p.old+start, next.old-back)
			p.length = start + first
			back -= first
		}
		next.new -= back
		next.old -= back
	}
}

// ahead is how long p, which ends before end, is best: each byte that is equal speaks for it, and one that is not against,
// unless it has changed as what is before it.
func (m *matcher) ahead(p piece, end int) (length int) {
	balance, best := 0, 0
	for i := 0; p.new+i < end && p.old+i < len(m.old); i++ {
		balance += m.vote(p.new+i, p.old-p.new, -word)
		if balance > best {
			best, length = balance, i+1
		}
	}
	return length
}

// behind is for how long before p, but not before start, the same holds.
func (m *matcher) behind(p piece, start int) (length int) {
	balance, best := 0, 0
	for i := 1; p.new-i >= start && p.old-i >= 0; i++ {
		balance += m.vote(p.new-i, p.old-p.new, word)
		if balance > best {
			best, length = balance, i
		}
	}
	return length
}

// vote is 1 for a byte that is equal, 0 for one in a word that has changed as the next or the one after it, to the side
// that is given, and -1 for others.
func (m *matcher) vote(at, shift, side int) int {
	if m.new[at] == m.old[at+shift] {
		return 1
	}
	at &^= word - 1
	change, ok := m.change(at, shift)
	if !ok {
		return -1
	}
	for _, neighbour := range [...]int{at + side, at + 2*side} {
		if same, ok := m.change(neighbour, shift); ok && same == change {
			return 0
		}
	}
	return -1
}

func (m *matcher) change(at, shift int) (by uint32, ok bool) {
	if at < 0 || at+shift < 0 || at+word > len(m.new) || at+shift+word > len(m.old) {
		return 0, false
	}
	return binary.LittleEndian.Uint32(m.new[at:]) - binary.LittleEndian.Uint32(m.old[at+shift:]), true
}

// divide is how many of n bytes at new are best left to the piece that has them at a in old, before the one that has them
// at b.
func (m *matcher) divide(n, new, a, b int) (first int) {
	balance, best := 0, 0
	for i := range n {
		if m.old[a+i] == m.new[new+i] {
			balance++
		}
		if m.old[b+i] == m.new[new+i] {
			balance--
		}
		if balance > best {
			best, first = balance, i+1
		}
	}
	return first
}
