// Package markdown turns the Markdown that language models write into the HTML that Telegram takes
// (core.telegram.org/bots/api, "HTML style"), in one pass, into a buffer of the caller's.
//
// Whatever the text, the HTML is balanced and has only Telegram's tags; a marker without its other half stays text.
package markdown

import "strings"

// AppendHTML appends text as Telegram's HTML to to. It allocates nothing where to has room.
func AppendHTML(to []byte, text string) []byte {
	quoting := false
	for rest := text; rest != ""; {
		line, after, more := strings.Cut(rest, "\n")
		rest = after
		bare := strings.TrimRight(line, "\r")
		if fence := fenceOf(bare); fence != "" {
			to, quoting = endQuote(to, quoting), false
			to, rest = appendFenced(to, bare, fence, rest)
			if rest != "" {
				to = append(to, '\n')
			}
			continue
		}
		quoted, isQuote := strings.CutPrefix(bare, ">")
		if isQuote && !quoting && !visible(quoted) && strings.HasPrefix(rest, ">") {
			continue // a quote begins with what it says; a cut may have left a blank line of it here
		}
		if isQuote && (quoting || visible(quoted)) {
			if !quoting {
				to = append(to, "<blockquote>"...)
				quoting = true
			}
			bare = strings.TrimPrefix(quoted, " ")
		} else if quoting {
			to, quoting = endQuote(to, true), false
		}
		to = appendLine(to, bare)
		if more {
			to = append(to, '\n')
		}
	}
	return endQuote(to, quoting)
}

// endQuote closes a blockquote before the newline that ended its last line.
func endQuote(to []byte, quoting bool) []byte {
	if !quoting {
		return to
	}
	if last := len(to) - 1; to[last] == '\n' {
		return append(append(to[:last], "</blockquote>"...), '\n')
	}
	return append(to, "</blockquote>"...)
}

// fenceOf is the run of backticks or tildes that opens a fenced block, "" where the line opens none.
func fenceOf(line string) string {
	line = strings.TrimLeft(line, " ")
	for _, marker := range "`~" {
		run := 0
		for run < len(line) && rune(line[run]) == marker {
			run++
		}
		// A backtick in what follows makes it a code span (CommonMark, "Fenced code blocks").
		if run >= 3 && (marker == '~' || !strings.Contains(line[run:], "`")) {
			return line[:run]
		}
	}
	return ""
}

// appendFenced appends the block that line opens; rest is what follows, and what follows the block is returned.
func appendFenced(to []byte, line, fence, rest string) ([]byte, string) {
	language := strings.TrimSpace(strings.TrimLeft(line, " ")[len(fence):])
	if cut := strings.IndexFunc(language, func(c rune) bool { return !isLanguage(c) }); cut >= 0 {
		language = language[:cut]
	}
	body := rest
	end := len(rest)
	for at := 0; at < len(rest); {
		stop := strings.IndexByte(rest[at:], '\n')
		if stop < 0 {
			stop = len(rest) - at
		}
		closing := strings.TrimSpace(rest[at : at+stop])
		if len(closing) >= len(fence) && strings.Trim(closing, fence[:1]) == "" {
			body, end = rest[:at], min(at+stop+1, len(rest))
			break
		}
		at += stop + 1
	}
	body = strings.TrimRight(body, "\r\n")
	if !visible(body) {
		return to, rest[end:]
	}
	if language != "" {
		to = append(append(append(to, `<pre><code class="language-`...), language...), `">`...)
		to = append(appendEscaped(to, body), "</code></pre>"...)
	} else {
		to = append(appendEscaped(append(to, "<pre>"...), body), "</pre>"...)
	}
	return to, rest[end:]
}

func isLanguage(c rune) bool {
	return c == '+' || c == '#' || c == '-' || c == '_' || c == '.' ||
		('0' <= c && c <= '9') || ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z')
}

// appendLine appends one line that belongs to no fenced block.
func appendLine(to []byte, line string) []byte {
	text := strings.TrimLeft(line, " ")
	indent := line[:len(line)-len(text)]
	level := 0
	for level < len(text) && text[level] == '#' {
		level++
	}
	if heading := text[min(level, len(text)):]; level >= 1 && level <= 6 && strings.HasPrefix(heading, " ") && visible(heading) {
		heading = strings.TrimRight(strings.TrimRight(strings.TrimSpace(heading), "#"), " ")
		if visible(heading) {
			s := scanner{text: heading}
			s.silent[bold] = true
			return append(s.append(append(to, "<b>"...), 0, len(heading)), "</b>"...)
		}
	}
	if len(text) > 1 && (text[0] == '-' || text[0] == '*' || text[0] == '+') && text[1] == ' ' {
		to = append(append(to, indent...), "• "...)
		text = text[2:]
	} else {
		text = line
	}
	s := scanner{text: text}
	return s.append(to, 0, len(text))
}

// visible tells whether there is more than white space and control characters in text.
func visible(text string) bool {
	for i := range len(text) {
		if text[i] > ' ' {
			return true
		}
	}
	return false
}

// appendEscaped appends text with the four characters replaced that mean something in HTML.
func appendEscaped(to []byte, text string) []byte {
	for i := range len(text) {
		to = appendByte(to, text[i])
	}
	return to
}

func appendByte(to []byte, c byte) []byte {
	switch c {
	case '<':
		return append(to, "&lt;"...)
	case '>':
		return append(to, "&gt;"...)
	case '&':
		return append(to, "&amp;"...)
	case '"':
		return append(to, "&quot;"...)
	case 0:
		return to // Telegram takes no NUL
	}
	return append(to, c)
}
