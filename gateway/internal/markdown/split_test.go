package markdown

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func pieces(text string) []string {
	var found []string
	splitter := NewSplitter(text)
	for {
		piece, ok := splitter.Next(nil)
		if !ok {
			return found
		}
		found = append(found, string(piece))
	}
}

func TestAShortTextIsOnePiece(t *testing.T) {
	if got := pieces("\n\nhello\n"); len(got) != 1 || got[0] != "hello" {
		t.Errorf("%q", got)
	}
	if got := pieces(" \n"); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if got := pieces(strings.Repeat("x", MaxUnits)); len(got) != 1 {
		t.Errorf("%d pieces", len(got))
	}
}

func TestALongTextIsCutBetweenParagraphsThenLinesThenWords(t *testing.T) {
	for between, unit := range map[string]string{"\n\n": strings.Repeat("word ", 200) + "end", "\n": strings.Repeat("w", 900), " ": "word", "": "x"} {
		text := strings.Repeat(unit+between, 20_000/len(unit+between))
		for _, piece := range pieces(text) {
			if units(piece) > MaxUnits {
				t.Errorf("a piece of %d units", units(piece))
			}
			if trimmed := strings.TrimSpace(piece); between != "" && !strings.HasSuffix(trimmed, unit) {
				t.Errorf("cut in the middle of %q: …%q", unit, trimmed[len(trimmed)-20:])
			}
		}
	}
}

func TestAFencedBlockIsClosedAndOpenedAgain(t *testing.T) {
	text := "before\n```go\n" + strings.Repeat("line of code // with words\n", 400) + "```\nafter **bold**"
	got := pieces(text)
	if len(got) < 3 {
		t.Fatalf("%d pieces", len(got))
	}
	for number, piece := range got {
		html := string(AppendHTML(nil, piece))
		check(t, piece, html)
		if strings.Count(html, `<pre><code class="language-go">`) != 1 || strings.Contains(html, "```") {
			t.Errorf("piece %d: %q", number, html)
		}
	}
	if !strings.HasSuffix(string(AppendHTML(nil, got[len(got)-1])), "after <b>bold</b>") {
		t.Errorf("the end is %q", got[len(got)-1])
	}
}

func TestACharacterIsNotCutInTwo(t *testing.T) {
	for _, character := range []string{"🙂", "👍🏽", "é", "👩‍👧", "ü"} {
		for _, piece := range pieces("x" + strings.Repeat(character, 6000)) {
			if !strings.HasPrefix(strings.TrimPrefix(piece, "x"), character) || !strings.HasSuffix(piece, character) {
				t.Errorf("%q is cut: %q … %q", character, piece[:8], piece[len(piece)-8:])
			}
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("a b\n\nc", 3000)
	f.Add("```go\nx\n```\n", 700)
	f.Add("~~~\n🙂\n", 1500)
	f.Add("````\n```\n", 900)
	f.Fuzz(func(t *testing.T, text string, times int) {
		if len(text) == 0 || !utf8.ValidString(text) {
			return
		}
		text = strings.Repeat(text, 1+max(0, min(times, 30_000/len(text))))
		letters := func(text string) int { return len(text) - strings.Count(text, " ") - strings.Count(text, "\n") }
		total, count := 0, 0
		splitter := NewSplitter(text)
		for {
			piece, ok := splitter.Next(nil)
			if !ok {
				break
			}
			count++
			total += letters(string(piece))
			if units(string(piece)) > MaxUnits || !utf8.Valid(piece) {
				t.Fatalf("a piece of %d units", units(string(piece)))
			}
			check(t, string(piece), string(AppendHTML(nil, string(piece))))
			if count > 3*len(text) {
				t.Fatal("it does not end")
			}
		}
		if left := strings.TrimSpace(text); total < letters(left)-strings.Count(left, "\r")-strings.Count(left, "\t") {
			t.Fatalf("%d of %d letters are left", total, letters(left))
		}
	})
}
