package markdown

import "strings"

// The styles that can stand around text. An index into the tables below.
const (
	bold = iota
	italic
	strike
	spoiler
	link
	styles
)

var tags = [styles]struct{ open, close string }{
	bold:    {"<b>", "</b>"},
	italic:  {"<i>", "</i>"},
	strike:  {"<s>", "</s>"},
	spoiler: {"<tg-spoiler>", "</tg-spoiler>"},
}

// markers are tried in this order, the longer ones first.
var markers = [...]struct {
	text  string
	style int
}{
	{"**", bold}, {"__", bold}, {"~~", strike}, {"||", spoiler}, {"*", italic}, {"_", italic},
}

const maxURL = 2048

// scanner reads one line. A style is never opened within itself, so the depth is bounded; and a search for a closing
// marker that failed is not made again further on, so the time is linear.
type scanner struct {
	text   string
	open   [styles]bool
	silent [styles]bool              // the style is there already: its markers go, and no tag comes
	failed [len(markers) + 2]failure // one a marker; then for backticks and for "]("
	around around                    // what stands around a place that a Splitter asks for
}

// around is what stands around a place in a line: the markers of the styles that are open there, the outer one first.
type around struct {
	at         int // the place, 0 for none
	start, end int // of the outermost
	markers    string
	link       bool // a link is among them
}

// meet notes what stands from start to end, if that is around the place.
func (a *around) meet(start, end int, marker string) {
	if a.at <= start || end <= a.at {
		return
	}
	if a.end == 0 {
		a.start, a.end = start, end
	}
	a.markers += marker
	a.link = a.link || marker == ""
}

// failure says that between from and until there is none of what was looked for.
type failure struct{ from, until int }

func (s *scanner) knownToFail(which, from, until int) bool {
	f := s.failed[which]
	return f.until >= until && from >= f.from && f.until > 0
}

// append appends text[at:end] as HTML.
func (s *scanner) append(to []byte, at, end int) []byte {
	for at < end {
		c := s.text[at]
		next := at
		switch c {
		case '\\':
			if at+1 < end && isPunctuation(s.text[at+1]) {
				to = appendByte(to, s.text[at+1])
				at += 2
				continue
			}
		case '`':
			to, next = s.code(to, at, end)
		case '[':
			to, next = s.link(to, at, end)
		case '*', '_', '~', '|':
			to, next = s.styled(to, at, end)
		}
		if next > at {
			at = next
			continue
		}
		// A run of one marker is text as a whole: "***" is not "*" and "**".
		stop := at + 1
		if c == '*' || c == '_' || c == '~' || c == '|' || c == '`' {
			for stop < end && s.text[stop] == c {
				stop++
			}
		}
		to = appendEscaped(to, s.text[at:stop])
		at = stop
	}
	return to
}

// styled appends what begins with a marker at at; where it is no opening one, the position stays.
func (s *scanner) styled(to []byte, at, end int) ([]byte, int) {
	for which, marker := range markers {
		if s.open[marker.style] || !strings.HasPrefix(s.text[at:end], marker.text) {
			continue
		}
		inner := at + len(marker.text)
		if inner >= end || isSpace(s.text[inner]) || s.knownToFail(which, inner, end) {
			continue
		}
		if marker.text[0] == '_' && at > 0 && isWord(s.text[at-1]) {
			continue // snake_case is no emphasis
		}
		closing := s.closing(marker.text, inner, end)
		if closing < 0 {
			s.failed[which] = failure{inner, end}
			continue
		}
		if !visible(s.text[inner:closing]) {
			continue
		}
		s.around.meet(at, closing+len(marker.text), marker.text)
		s.open[marker.style] = true
		if s.silent[marker.style] {
			to = s.append(to, inner, closing)
		} else {
			to = append(to, tags[marker.style].open...)
			to = s.append(to, inner, closing)
			to = append(to, tags[marker.style].close...)
		}
		s.open[marker.style] = false
		return to, closing + len(marker.text)
	}
	return to, at
}

// closing finds where marker closes what begins at from; -1 where it does not.
func (s *scanner) closing(marker string, from, end int) int {
	for at := from; at < end; at++ {
		switch c := s.text[at]; {
		case c == '\\':
			at++
		case c == '`':
			if stop := s.afterCode(at, end); stop > 0 {
				at = stop - 1
			}
		case c == marker[0]:
			run := at
			for run < end && s.text[run] == c {
				run++
			}
			fits := run-at == len(marker) || (run-at == 3 && (c == '*' || c == '_'))
			if c == '_' && run < len(s.text) && isWord(s.text[run]) {
				fits = false
			}
			if fits && at > from && !isSpace(s.text[at-1]) {
				if run-at > len(marker) && len(marker) == 2 {
					return run - len(marker) // "***": the inner style closes first
				}
				return at
			}
			at = run - 1
		}
	}
	return -1
}

// afterCode is where a code span that begins at at has ended; 0 where none begins.
func (s *scanner) afterCode(at, end int) int {
	run := at
	for run < end && s.text[run] == '`' {
		run++
	}
	const which = len(markers)
	if s.knownToFail(which, run, end) {
		return 0
	}
	for close := run; close < end; {
		next := strings.IndexByte(s.text[close:end], '`')
		if next < 0 {
			break
		}
		close += next
		stop := close
		for stop < end && s.text[stop] == '`' {
			stop++
		}
		if stop-close == run-at {
			return stop
		}
		close = stop
	}
	if run-at == 1 {
		s.failed[which] = failure{run, end}
	}
	return 0
}

func (s *scanner) code(to []byte, at, end int) ([]byte, int) {
	stop := s.afterCode(at, end)
	if stop == 0 {
		return to, at
	}
	run := at
	for s.text[run] == '`' {
		run++
	}
	width := run - at
	s.around.meet(at, stop, s.text[at:run])
	content := s.text[run : stop-width]
	if len(content) > 2 && content[0] == ' ' && content[len(content)-1] == ' ' && visible(content) {
		content = content[1 : len(content)-1]
	}
	if !visible(content) {
		return appendEscaped(to, s.text[at:stop]), stop
	}
	return append(appendEscaped(append(to, "<code>"...), content), "</code>"...), stop
}

// link appends [text](url); where that is not what stands at at, the position stays.
func (s *scanner) link(to []byte, at, end int) ([]byte, int) {
	const which = len(markers) + 1
	if s.open[link] || s.knownToFail(which, at, end) {
		return to, at
	}
	middle := strings.Index(s.text[at:end], "](")
	if middle < 0 {
		s.failed[which] = failure{at, end}
		return to, at
	}
	middle += at
	label := s.text[at+1 : middle]
	if strings.ContainsAny(label, "[]") || !visible(label) {
		return to, at
	}
	rest := s.text[middle+2 : min(end, middle+2+maxURL)]
	stop := strings.IndexAny(rest, ") \t<>\"")
	if stop <= 0 || rest[stop] != ')' || !allowed(rest[:stop]) {
		return to, at
	}
	to = append(appendEscaped(append(to, `<a href="`...), rest[:stop]), `">`...)
	s.around.meet(at, middle+2+stop+1, "")
	s.open[link] = true
	to = s.append(to, at+1, middle)
	s.open[link] = false
	return append(to, "</a>"...), middle + 2 + stop + 1
}

// allowed tells whether Telegram makes a link of url.
func allowed(url string) bool {
	for _, scheme := range [...]string{"http://", "https://", "tg://", "mailto:"} {
		if len(url) > len(scheme) && strings.EqualFold(url[:len(scheme)], scheme) {
			return true
		}
	}
	return false
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

func isWord(c byte) bool {
	return c >= 0x80 || c == '_' || ('0' <= c && c <= '9') || ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z')
}

// isPunctuation tells whether a backslash before c makes it plain text (CommonMark, "Backslash escapes").
func isPunctuation(c byte) bool {
	return ('!' <= c && c <= '/') || (':' <= c && c <= '@') || ('[' <= c && c <= '`') || ('{' <= c && c <= '~')
}
