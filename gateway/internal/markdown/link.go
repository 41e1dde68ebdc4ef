package markdown

import "strings"

// maxURL is the longest URL of a link, in bytes.
const maxURL = 2048

// link appends [text](url); where that is not what stands at at, the position stays.
func (s *scanner) link(to []byte, at, end int) ([]byte, int) {
	if s.open[link] || s.knownToFail(ofLinks, at, end) {
		return to, at
	}
	middle := strings.Index(s.text[at:end], "](")
	if middle < 0 {
		s.failed[ofLinks] = failure{at, end}
		return to, at
	}
	middle += at
	label := s.text[at+1 : middle]
	if strings.ContainsAny(label, "[]") || !visible(label) {
		return to, at
	}
	rest := s.text[middle+2 : min(end, middle+2+maxURL)]
	stop := urlEnd(rest)
	if stop <= 0 || !allowed(rest[:stop]) {
		return to, at
	}
	to = append(appendEscaped(append(to, `<a href="`...), rest[:stop]), `">`...)
	s.around.meet(at, middle+2+stop+1, "")
	s.open[link] = true
	to = s.append(to, at+1, middle)
	s.open[link] = false
	return append(to, "</a>"...), middle + 2 + stop + 1
}

// urlEnd is where the parenthesis stands that ends a link; those within its URL come in pairs (CommonMark, "Links"). -1 where
// none does.
func urlEnd(text string) int {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth < 0 {
				return i
			}
		case ' ', '\t', '<', '>', '"':
			return -1
		}
	}
	return -1
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
