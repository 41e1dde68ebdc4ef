// Package logline writes log lines of the form "time level message key=value …" to standard error.
//
// Values that come from outside are quoted, so that nobody can write a line of their own. A token never reaches it: no
// error of this program holds a request's path.
package logline

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

var mu sync.Mutex // one line is one write, also from two goroutines

// Info says what happens in the ordinary course. pairs are keys and values by turns.
func Info(message string, pairs ...string) { line("info", message, pairs) }

// Warn says what went wrong and is tried again.
func Warn(message string, pairs ...string) { line("warn", message, pairs) }

// Error says what went wrong for good.
func Error(message string, pairs ...string) { line("error", message, pairs) }

func line(level, message string, pairs []string) {
	text := make([]byte, 0, 160)
	text = time.Now().UTC().AppendFormat(text, "2006-01-02T15:04:05Z")
	text = append(text, " level="...)
	text = append(text, level...)
	text = append(text, " msg="...)
	text = append(text, quoted(message)...)
	for i := 0; i+1 < len(pairs); i += 2 {
		text = append(text, ' ')
		text = append(text, pairs[i]...)
		text = append(text, '=')
		text = append(text, quoted(pairs[i+1])...)
	}
	text = append(text, '\n')
	mu.Lock()
	defer mu.Unlock()
	os.Stderr.Write(text)
}

func quoted(value string) string {
	plain := value != "" && !strings.ContainsFunc(value, func(c rune) bool {
		return c <= ' ' || c >= 0x7F || c == '"' || c == '=' || c == '\\'
	})
	if plain {
		return value
	}
	return strconv.QuoteToASCII(value)
}
