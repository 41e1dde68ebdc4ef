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

// scanner reads one line. A style is never opened within itself, so the depth is bounded; and a search for a closing
// marker that failed is not made again further on, so the time is linear.
type scanner struct {
	text   string
	open   [styles]bool
	silent [styles]bool // the style is there already: its markers go, and no tag comes
	failed [failures]failure
	around around // what stands around a place that a Splitter asks for
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

// What is looked for, beside the markers: an index into failed.
const (
	ofLinks  = len(markers) // "]("
	ofCode   = ofLinks + 1  // as many backticks as opened a code span: one, two and so on
	failures = ofCode + maxTicks
)

// maxTicks is how many backticks may open a code span; more are written by nobody.
const maxTicks = 8

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
		if marker.text[0] == '_' && at > 0 && isLetter(s.text[at-1]) {
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
	double := false // within a single marker: a double one waits for its other half
	for at := from; at < end; at++ {
		switch c := s.text[at]; {
		case c == '\\':
			at++
		case c == '`':
			stop, _ := s.afterCode(at, end)
			at = stop - 1
		case c == marker[0]:
			run := at
			for run < end && s.text[run] == c {
				run++
			}
			fits := run-at == len(marker) || (run-at == 3 && (c == '*' || c == '_'))
			if c == '_' && run < len(s.text) && isLetter(s.text[run]) {
				fits = false
			}
			if fits && at > from && !isSpace(s.text[at-1]) {
				if run-at > len(marker) && (len(marker) == 2 || double) {
					return run - len(marker) // "***": the inner style closes first
				}
				return at
			}
			if run-at == 2 && len(marker) == 1 {
				double = !double
			}
			at = run - 1
		}
	}
	return -1
}

// afterCode is where a code span that begins at at has ended; where none does, the run of backticks, and false.
func (s *scanner) afterCode(at, end int) (stop int, found bool) {
	run := at
	for run < end && s.text[run] == '`' {
		run++
	}
	which := ofCode + run - at - 1
	if run-at > maxTicks || s.knownToFail(which, run, end) {
		return run, false
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
			return stop, true
		}
		close = stop
	}
	s.failed[which] = failure{run, end}
	return run, false
}

func (s *scanner) code(to []byte, at, end int) ([]byte, int) {
	stop, found := s.afterCode(at, end)
	if !found {
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

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// isLetter counts digits in, and not the underscores of a style around this one.
func isLetter(c byte) bool {
	return c >= 0x80 || ('0' <= c && c <= '9') || ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z')
}

// isPunctuation tells whether a backslash before c makes it plain text (CommonMark, "Backslash escapes").
func isPunctuation(c byte) bool {
	return ('!' <= c && c <= '/') || (':' <= c && c <= '@') || ('[' <= c && c <= '`') || ('{' <= c && c <= '~')
}
