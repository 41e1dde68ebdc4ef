package markdown

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func pieces(text string) []string {
	var found []string
	splitter := NewSplitter(text, true)
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

// A block of code stays one where much stands behind its language, or where its fence is long.
func TestAFencedBlockWithALongFirstLineIsOpenedAgain(t *testing.T) {
	for opening, wanted := range map[string]string{
		"```python title=\"" + strings.Repeat("x", 60) + "\"": `<pre><code class="language-python">`,
		"``` " + strings.Repeat("x", 80):                      "<pre>",
		"```" + strings.Repeat("x", 80):                       "<pre>",
		strings.Repeat("~", 80) + "go":                        "<pre>",
	} {
		run := fenceOf(opening)
		got := pieces(opening + "\n" + strings.Repeat("code **x** line\n", 600) + run + "\nafter **bold**")
		for number, piece := range got {
			html := string(AppendHTML(nil, piece))
			check(t, piece, html)
			if units(piece) > MaxUnits || (number > 0 && !strings.HasPrefix(html, wanted+"code **x** line\n")) {
				t.Errorf("%.20q, piece %d: %d units, %.60q …", opening, number, units(piece), html)
			}
		}
		if end := string(AppendHTML(nil, got[len(got)-1])); len(got) < 3 || !strings.HasSuffix(end, "line</pre>\nafter <b>bold</b>") && !strings.HasSuffix(end, "line</code></pre>\nafter <b>bold</b>") {
			t.Errorf("%.20q, %d pieces, the end: … %q", opening, len(got), end[len(end)-40:])
		}
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

// styled is what HTML shows: each character but white space, with the tags that it stands in.
func styled(html string) (shown []string) {
	var open []string
	for rest := html; rest != ""; {
		if tag, found := strings.CutPrefix(rest, "<"); found {
			name, after, _ := strings.Cut(tag, ">")
			if strings.HasPrefix(name, "/") {
				open = open[:len(open)-1]
			} else {
				open = append(open, name)
			}
			rest = after
			continue
		}
		character, size := utf8.DecodeRuneInString(rest)
		if rest[0] == '&' {
			size = strings.IndexByte(rest, ';') + 1
		}
		if character > ' ' {
			inside := slices.Clone(open)
			slices.Sort(inside) // one within the other or the other way round looks the same
			shown = append(shown, rest[:size]+" "+strings.Join(inside, " "))
		}
		rest = rest[size:]
	}
	return shown
}

// Wherever the cuts fall, each character looks as it does in the whole text.
func TestACutBreaksNoMarkup(t *testing.T) {
	paragraphs := map[string]string{
		"short spans":       strings.Repeat("Some **bold words** and _slanted ones_, a `span of code`, ~~no more~~, ||hidden||, a [link to it](https://example.org/?a=1&b=2); ", 80),
		"nested":            strings.Repeat("Some **bold and _slanted and ~~struck~~ words_ in it** & more <text>; ", 150),
		"long bold":         "**" + strings.Repeat("bold words and _slanted ones_ in it; ", 400) + "the end** of it",
		"long nested":       "***" + strings.Repeat("words, some of them ~~struck~~; ", 500) + "end*** of it",
		"long code":         "It is `" + strings.Repeat("code with **stars** and words ", 400) + "end` of it",
		"a quote":           "> " + strings.Repeat("quoted **bold words** and others & so on; ", 300),
		"a quote's blanks":  strings.Repeat("> one line **of bold**\n>\n> \n> and another\n", 300),
		"quotes":            strings.Repeat("> one line **of bold**\n> and another\n\nno quote\n", 300),
		"a long bold quote": "> **" + strings.Repeat("quoted words ", 800) + "end**\nno quote",
		"emoji":             strings.Repeat("**🙂🚀 👩‍👩‍👧** _ü_ ", 500),
		"no blanks":         "**" + strings.Repeat("x🙂", 4000) + "** end",
		"a list":            strings.Repeat("* **item** with `code`\n- another _one_\n", 300),
		"a fence":           "**a**\n```go\n" + strings.Repeat("if a < b && *p == **q { // words\n", 400) + "```\n**b** " + strings.Repeat("_w_ ", 2000),
		"unbalanced":        strings.Repeat("**a _b `c ~~d ||e [f](g) ", 500),
		"snake_case":        strings.Repeat("snake_case and __init__ and 2*3*4 and a*b ", 400),
	}
	for name, paragraph := range paragraphs {
		for _, shift := range []int{0, 1, 2, 3, 7, 13, 40} {
			text := strings.Repeat("x", shift) + "\n" + paragraph
			want := styled(string(AppendHTML(nil, strings.TrimSpace(text))))
			var got []string
			for _, piece := range pieces(text) {
				if units(piece) > MaxUnits {
					t.Errorf("%s: a piece of %d units", name, units(piece))
				}
				html := string(AppendHTML(nil, piece))
				check(t, piece, html)
				got = append(got, styled(html)...)
			}
			if !slices.Equal(got, want) {
				at := 0
				for at < min(len(got), len(want)) && got[at] == want[at] {
					at++
				}
				t.Errorf("%s, %d: character %d of %d is %q instead of %q", name, shift, at, len(want), got[min(at, len(got)-1)], want[min(at, len(want)-1)])
			}
		}
	}
}

func TestAPlainTextIsCutAndNotChanged(t *testing.T) {
	text := "```go\n" + strings.Repeat("    some **code** here\n", 600)
	splitter := NewSplitter(text, false)
	var whole []string
	for {
		piece, ok := splitter.Next(nil)
		if !ok {
			break
		}
		whole = append(whole, string(piece))
	}
	if got := strings.Join(whole, "\n"); len(whole) < 3 || got != strings.TrimSpace(text) {
		t.Errorf("%d pieces; %q …", len(whole), got[:100])
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("a b\n\nc", 3000, false)
	f.Add("```go\nx\n```\n", 700, true)
	f.Add("~~~\n🙂\n", 1500, true)
	f.Add("````\n```\n", 900, true)
	f.Add("**a _b ", 900, true)
	f.Add("> **a _b_** `c` [d](http://e) ", 300, true)
	f.Add("> a\n>\n> b\n", 900, true)
	f.Add("```python title=\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"\nx\n```\n", 90, true)
	f.Add("*a **b*** [c](http://d_(e)) ``f` ", 300, true)
	f.Fuzz(func(t *testing.T, text string, times int, markdown bool) {
		if len(text) == 0 || !utf8.ValidString(text) {
			return
		}
		text = strings.Repeat(text, 1+max(0, min(times, 30_000/len(text))))
		letters := func(text string) int { return len(text) - strings.Count(text, " ") - strings.Count(text, "\n") }
		total, count := 0, 0
		splitter := NewSplitter(text, markdown)
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
			if markdown {
				check(t, string(piece), string(AppendHTML(nil, string(piece))))
			}
			if count > 3*len(text) {
				t.Fatal("it does not end")
			}
		}
		if left := strings.TrimSpace(text); total < letters(left)-strings.Count(left, "\r")-strings.Count(left, "\t") {
			t.Fatalf("%d of %d letters are left", total, letters(left))
		}
	})
}
