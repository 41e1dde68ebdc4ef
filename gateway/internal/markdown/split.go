package markdown

import (
	"strings"
	"unicode/utf8"
)

// MaxUnits is how long a message may be, in UTF-16 units (core.telegram.org/bots/api, sendMessage: "1-4096 characters
// after entities parsing"). The HTML of a piece shows no more characters than the piece has.
const MaxUnits = 4096

// Splitter cuts Markdown into pieces of at most MaxUnits, at the best place that there is: between paragraphs, lines,
// sentences, words. A fenced block that is cut is closed in one piece and opened again in the next.
type Splitter struct {
	rest  string
	fence string // the line that opened the fenced block in which rest begins, "" outside of one
}

// NewSplitter splits text.
func NewSplitter(text string) Splitter {
	return Splitter{rest: strings.TrimRight(text, " \r\n\t")}
}

// Next appends the next piece to to; false where there is none left.
func (s *Splitter) Next(to []byte) ([]byte, bool) {
	if s.fence == "" {
		s.rest = strings.TrimLeft(s.rest, "\r\n")
	}
	if s.rest == "" {
		return to, false
	}
	opened := s.fence
	room := MaxUnits
	if opened != "" {
		room -= units(opened) + 1
	}
	cut, fence := whole(s.rest, opened, room)
	if cut < 0 {
		// What is left to close a block with, whichever it may be.
		cut, fence = place(s.rest, opened, room-maxFence-1)
	}
	if opened != "" {
		to = append(append(to, opened...), '\n')
	}
	piece := strings.TrimRight(s.rest[:cut], " \r\n\t")
	to = append(to, piece...)
	s.rest, s.fence = s.rest[cut:], fence
	if fence != "" && s.rest != "" {
		to = append(append(to, '\n'), fenceOf(fence)...)
		s.rest = strings.TrimPrefix(s.rest, "\n")
	}
	return to, true
}

// maxFence is the longest fence that is opened again; one that is longer is written by nobody.
const maxFence = 64

// whole tells whether all of text fits into room; -1 where it does not.
func whole(text, fence string, room int) (cut int, after string) {
	if len(text) > 3*room || units(text) > room {
		return -1, fence
	}
	return len(text), ""
}

// place finds where to cut text so that what stands before has at most room units, and the block that is open there.
func place(text, fence string, room int) (cut int, after string) {
	most := prefix(text, room)
	least := most / 2 // a piece of less than half the size would be cut at a worse place for a better one
	for _, between := range [...]string{"\n\n", "\n", ". ", "! ", "? ", " "} {
		if at := strings.LastIndex(text[:most], between); at >= least && at > 0 {
			cut = at + len(between)
			break
		}
	}
	if cut == 0 {
		cut = most
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		cut = beforeMark(text, cut)
	}
	return cut, fenceAfter(text[:cut], fence)
}

// beforeMark moves a cut so that it stands not before what belongs to the character before: an accent, a joiner.
func beforeMark(text string, cut int) int {
	for at := cut; at > 0 && cut-at < 64; {
		next, _ := utf8.DecodeRuneInString(text[at:])
		last, size := utf8.DecodeLastRuneInString(text[:at])
		if !joins(next) && last != '\u200D' {
			return at
		}
		at -= size
	}
	return cut
}

// joins tells whether c belongs to the character before it: combining marks, variation selectors, skin tones, joiners.
func joins(c rune) bool {
	return c == '\u200D' || (0x0300 <= c && c <= 0x036F) || (0xFE00 <= c && c <= 0xFE0F) ||
		(0x1F3FB <= c && c <= 0x1F3FF) || (0x20D0 <= c && c <= 0x20FF)
}

// fenceAfter is the line of the fenced block that is open after text, which began within fence.
func fenceAfter(text, fence string) string {
	for line := range strings.SplitSeq(text, "\n") {
		run := fenceOf(line)
		switch {
		case run == "":
		case fence == "":
			if len(line) <= maxFence {
				fence = strings.TrimSpace(line)
			}
		case run[0] == fenceOf(fence)[0] && len(run) >= len(fenceOf(fence)) && strings.TrimSpace(line) == run:
			fence = ""
		}
	}
	return fence
}

// units is the length of text in UTF-16 units.
func units(text string) int {
	count := 0
	for _, c := range text {
		count++
		if c > 0xFFFF {
			count++
		}
	}
	return count
}

// prefix is how many bytes of text have at most room units.
func prefix(text string, room int) int {
	count := 0
	for at, c := range text {
		count++
		if c > 0xFFFF {
			count++
		}
		if count > room {
			return at
		}
	}
	return len(text)
}
