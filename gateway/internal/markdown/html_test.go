package markdown

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestWhatModelsWriteBecomesTelegramsHTML(t *testing.T) {
	for text, wanted := range map[string]string{
		"plain":                           "plain",
		"a < b && c > \"d\"":              "a &lt; b &amp;&amp; c &gt; &quot;d&quot;",
		"**bold** and __bold__":           "<b>bold</b> and <b>bold</b>",
		"*it* and _it_":                   "<i>it</i> and <i>it</i>",
		"***both***":                      "<b><i>both</i></b>",
		"**bold *it* bold**":              "<b>bold <i>it</i> bold</b>",
		"~~gone~~ ||secret||":             "<s>gone</s> <tg-spoiler>secret</tg-spoiler>",
		"`a<b` and ``x`y``":               "<code>a&lt;b</code> and <code>x`y</code>",
		"[site](https://e.org/a?b=1&c=2)": `<a href="https://e.org/a?b=1&amp;c=2">site</a>`,
		"[bad](javascript:alert(1))":      "[bad](javascript:alert(1))",
		"# Title\ntext":                   "<b>Title</b>\ntext",
		"## **Title** ##":                 "<b>Title</b>",
		"- one\n  * two\n1. three":        "• one\n  • two\n1. three",
		"> quoted\n> **more**\nafter":     "<blockquote>quoted\n<b>more</b></blockquote>\nafter",
		"```go\nx := a<b\n```\nafter":     "<pre><code class=\"language-go\">x := a&lt;b</code></pre>\nafter",
		"```\n**no**\n```":                "<pre>**no**</pre>",
		"```\nopen":                       "<pre>open</pre>",
		"snake_case_name and 2*3*4":       "snake_case_name and 2<i>3</i>4",
		"**open":                          "**open",
		"a * b * c":                       "a * b * c",
		"** no **":                        "** no **",
		`\*not\* \[x\](y)`:                "*not* [x](y)",
		"**a `**` b**":                    "<b>a <code>**</code> b</b>",
		"[**bold**](https://e.org)":       `<a href="https://e.org"><b>bold</b></a>`,
		"**[l](https://e.org)**":          `<b><a href="https://e.org">l</a></b>`,
		"``` ```":                         "``` ```",
		"#hashtag":                        "#hashtag",
		"":                                "",
		// Parentheses within a URL come in pairs.
		"[a](https://e.org/B_(c)) d)":    `<a href="https://e.org/B_(c)">a</a> d)`,
		"[a](https://e.org/((b)c)(d)) e": `<a href="https://e.org/((b)c)(d)">a</a> e`,
		"[a](https://e.org/B_(c) d":      "[a](https://e.org/B_(c) d",
		// A code span ends with as many backticks as it began with; those that open none are text as a whole.
		"a ` b ``x *y* z`` c":           "a ` b <code>x *y* z</code> c",
		"a `` b `x *y* z` c":            "a `` b <code>x *y* z</code> c",
		"a ``` b ````x *y* z```` c":     "a ``` b <code>x *y* z</code> c",
		"**a ``x** b` c":                "<b>a ``x</b> b` c",
		"a `````````x *y* z````````` b": "a `````````x <i>y</i> z````````` b",
		"*a **b***":                     "<i>a <b>b</b></i>",
		"___both___ and __a _b___":      "<b><i>both</i></b> and <b>a <i>b</i></b>",
		"snake___case __init__ __a___b": "snake___case <b>init</b> __a___b",
		"_a __b___":                     "<i>a <b>b</b></i>",
		"*a **b** c*":                   "<i>a <b>b</b> c</i>",
		"**a *b***":                     "<b>a <i>b</i></b>",
		// A blank line of a quote is in it; where it begins with one, as what a cut has left may, that is dropped.
		"> a\n>\n> b":         "<blockquote>a\n\nb</blockquote>",
		"> a\n> \n>\r\nafter": "<blockquote>a\n\n</blockquote>\nafter",
		">\n> a":              "<blockquote>a</blockquote>",
		">\nafter":            "&gt;\nafter",
	} {
		if got := string(AppendHTML(nil, text)); got != wanted {
			t.Errorf("%q became\n  %q instead of\n  %q", text, got, wanted)
		}
	}
}

// check holds HTML against Telegram's rules: known tags, balanced, nothing within code and pre, no empty ones.
func check(t *testing.T, text, html string) (visible string) {
	t.Helper()
	var open []string
	var shown strings.Builder
	for rest := html; rest != ""; {
		switch rest[0] {
		case '<':
			end := strings.IndexByte(rest, '>')
			if end < 0 {
				t.Fatalf("%q: a tag without end in %q", text, html)
			}
			tag := rest[1:end]
			rest = rest[end+1:]
			if name, closing := strings.CutPrefix(tag, "/"); closing {
				if len(open) == 0 || open[len(open)-1] != name {
					t.Fatalf("%q: </%s> closes nothing in %q", text, name, html)
				}
				open = open[:len(open)-1]
				continue
			}
			name, attribute, _ := strings.Cut(tag, " ")
			switch {
			case name == "a" && strings.HasPrefix(attribute, `href="`) && strings.Count(attribute, `"`) == 2:
			case name == "code" && strings.HasPrefix(attribute, `class="language-`) && open[len(open)-1] == "pre":
			case attribute == "" && strings.Contains(" b i s code pre blockquote tg-spoiler ", " "+name+" "):
			default:
				t.Fatalf("%q: the tag %q in %q", text, tag, html)
			}
			for _, outer := range open {
				if outer == name || outer == "code" || (outer == "pre" && name != "code") {
					t.Fatalf("%q: %s within %s in %q", text, name, outer, html)
				}
			}
			if strings.HasPrefix(rest, "</"+name) {
				t.Fatalf("%q: an empty %s in %q", text, name, html)
			}
			open = append(open, name)
		case '>', '"', 0:
			t.Fatalf("%q: a bare %q in %q", text, rest[0], html)
		case '&':
			entity, after, found := strings.Cut(rest, ";")
			plain := map[string]string{"&lt": "<", "&gt": ">", "&amp": "&", "&quot": `"`}[entity]
			if !found || plain == "" {
				t.Fatalf("%q: the entity %q in %q", text, entity, html)
			}
			shown.WriteString(plain)
			rest = after
		default:
			shown.WriteByte(rest[0])
			rest = rest[1:]
		}
	}
	if len(open) > 0 {
		t.Fatalf("%q: %v stays open in %q", text, open, html)
	}
	return shown.String()
}

func FuzzAppendHTML(f *testing.F) {
	for _, seed := range []string{
		"**a*b**c*", "***x**y*", "[a](http://b)[", "`a``b`", "> q\n>\n> r", "```x\n```", "~~~\n```\n~~~", "# #", "#  a #\r\n> \n",
		"_a_b_ __c__", "||a|b||", "\\", "\\`x`", "**`**`", "[x](https://y \"t\")", "- \n* a", "é_ü_", "*a\n*b*", ">a\n```\nb\n```\n>c",
		"[a](http://b_(c)) [d](http://e_(f)", "a ` b ``c`` d", "*`````", "**a ``x** b`", "*a **b***", "_a __b___", ">\n>\n> a\n>\n", "```\n```",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		html := string(AppendHTML(nil, text))
		check(t, text, html)
		if utf8.ValidString(text) && !utf8.ValidString(html) {
			t.Fatalf("%q became invalid UTF-8: %q", text, html)
		}
	})
}

func TestTextWithoutMarkersStaysWhatItIs(t *testing.T) {
	text := "Grüße & <b>kein Markup</b>, \"Zitat\" 🙂\n\n1 > 0; a[0] (x)"
	if got := check(t, text, string(AppendHTML(nil, text))); got != text {
		t.Errorf("%q", got)
	}
}

func TestTheTimeGrowsWithTheLengthAlone(t *testing.T) {
	for _, piece := range []string{"*", "**a", "_a ", "`", "``a", "[", "[a](", "[a](http://b", "~~a", "||a", "*a **b ", "> ", "#", "***a", "\\`", "``ü\\`", "````ü\\`", "*a_``", "[a](http://b("} {
		text := strings.Repeat(piece, 200_000/len(piece))
		begun := time.Now()
		html := AppendHTML(nil, text)
		if spent := time.Since(begun); spent > 3*time.Second {
			t.Errorf("%q many times took %v", piece, spent)
		}
		check(t, piece, string(html))
	}
}

var sample = strings.Repeat("Some **bold** words, a `code` span, a [link](https://example.org/x?a=1&b=2) and *emphasis*.\n", 12)[:1024]

func TestAKilobyteCostsNoAllocation(t *testing.T) {
	buffer := make([]byte, 0, 4096)
	if spent := testing.AllocsPerRun(100, func() { buffer = AppendHTML(buffer[:0], sample) }); spent != 0 {
		t.Errorf("%v allocations", spent)
	}
}

func BenchmarkAppendHTML(b *testing.B) {
	buffer := make([]byte, 0, 4096)
	b.ReportAllocs()
	b.SetBytes(int64(len(sample)))
	for b.Loop() {
		buffer = AppendHTML(buffer[:0], sample)
	}
}
