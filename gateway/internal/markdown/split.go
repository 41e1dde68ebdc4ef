package markdown

import (
	"strings"
	"unicode/utf8"
)

// MaxUnits is how long a message may be, in UTF-16 units (core.telegram.org/bots/api, sendMessage: "1-4096 characters
// after entities parsing"). The HTML of a piece shows no more characters than the piece has.
const MaxUnits = 4096

// Splitter cuts a text into pieces of at most MaxUnits, at the best place that there is: between paragraphs, lines,
// sentences, words. In Markdown, what is cut is closed in one piece and opened again in the next: a fenced block, a quote,
// bold text and the like. Where they are short, the cut is made before them.
type Splitter struct {
	rest  string
	plain bool
	fence string // the line that opened the fenced block in which rest begins, "" outside of one
	again string // the markers in which rest begins
}

// NewSplitter splits text, which is Markdown or plain.
func NewSplitter(text string, markdown bool) Splitter {
	return Splitter{rest: strings.TrimRight(text, " \r\n\t"), plain: !markdown}
}

// Next appends the next piece to to; false where there is none left.
func (s *Splitter) Next(to []byte) ([]byte, bool) {
	if s.fence == "" {
		s.rest = strings.TrimLeft(s.rest, "\r\n")
	}
	if s.rest == "" {
		return to, false
	}
	room := MaxUnits - len(s.again)
	if s.fence != "" {
		room -= units(s.fence) + 1
		to = append(append(to, s.fence...), '\n')
	}
	to = append(to, s.again...)
	if len(s.rest) <= 3*room && units(s.rest) <= room {
		to = append(to, s.rest...)
		s.rest = ""
		return to, true
	}
	if s.plain {
		cut := place(s.rest, room)
		to = append(to, strings.TrimRight(s.rest[:cut], " \r\n\t")...)
		s.rest = s.rest[cut:]
		return to, true
	}
	// What is left to close with, whichever it may be.
	cut := place(s.rest, room-maxFence-1)
	fence, quote := fenceAfter(s.rest[:cut], s.fence), ""
	var spans around
	if fence == "" {
		cut, quote, spans = s.within(cut)
	}
	to = append(to, strings.TrimRight(s.rest[:cut], " \r\n\t")...)
	s.rest, s.fence = s.rest[cut:], fence
	if fence != "" {
		to = append(append(to, '\n'), fenceOf(fence)...)
		s.rest = strings.TrimPrefix(s.rest, "\n")
	}
	for i := len(spans.markers) - 1; i >= 0; i-- { // each is one character repeated, the inner one last
		to = append(to, spans.markers[i])
	}
	s.again = quote + spans.markers
	if s.again != "" {
		s.rest = strings.TrimLeft(s.rest, " ")
	}
	return to, true
}

// within looks at what stands around a cut in a line: of a quote, the mark that its next piece begins with, and the styles
// that are open there. Where these begin not too far before, the cut is made there instead.
func (s *Splitter) within(cut int) (better int, quote string, spans around) {
	begin := strings.LastIndexByte(s.rest[:cut], '\n') + 1
	if begin == cut {
		return cut, "", around{}
	}
	line, _, _ := strings.Cut(s.rest[begin:], "\n")
	before := 0
	if begin == 0 {
		line, before = s.again+line, len(s.again)
	}
	bare, quoted := strings.CutPrefix(line, ">")
	if quoted {
		bare, quote = strings.TrimPrefix(bare, " "), "> "
	}
	shift := begin - before + len(line) - len(bare) // from a place in bare to one in rest
	scan := scanner{text: bare, around: around{at: cut - shift}}
	scan.append(nil, 0, len(bare))
	spans = scan.around
	switch start := spans.start + shift; {
	case spans.end == 0:
	case start >= cut/2:
		cut = start
	case !spans.link && len(spans.markers) <= maxMarkers:
		return cut, quote, spans
	}
	return cut, quote, around{}
}

// maxMarkers is how many bytes of markers are closed and opened again; more are written by nobody.
const maxMarkers = 16

// maxFence is how much of the line that opens a fenced block is written again, in bytes.
const maxFence = 64

// place finds where to cut text so that what stands before has at most room units.
func place(text string, room int) (cut int) {
	most := prefix(text, room)
	least := most / 2 // a piece of less than half the size would be cut at a worse place for a better one
	for _, between := range [...]string{"\n\n", "\n", ". ", "! ", "? ", " "} {
		if at := strings.LastIndex(text[:most], between); at >= least && at > 0 {
			return at + len(between)
		}
	}
	cut = most
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return beforeMark(text, cut)
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
			fence = strings.TrimSpace(line)
			if len(fence) > maxFence { // a title, say, stands behind the language
				fence, _, _ = strings.Cut(fence, " ")
			}
			if len(fence) > maxFence {
				fence = run[:min(len(run), maxFence)]
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
