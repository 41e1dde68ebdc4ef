package jsonstream

import (
	"bufio"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
)

func over(text string) *Reader {
	return NewReader(bufio.NewReader(strings.NewReader(text)))
}

func TestAnUpdateIsReadInAnyOrderOfItsKeys(t *testing.T) {
	r := over(` {"text":"a\u00fc\ud83d\ude42","more":[1,{"x":null}],"id":-12 , "on":true}`)
	var text string
	var id int64
	var on bool
	err := r.Object(func(key []byte) (err error) {
		switch string(key) {
		case "text":
			text, err = r.String(100)
		case "id":
			id, err = r.Int64()
		case "on":
			on, err = r.Bool()
		default:
			err = r.Skip()
		}
		return err
	})
	if err != nil || r.End() != nil {
		t.Fatal(err, r.End())
	}
	if text != "aü🙂" || id != -12 || !on {
		t.Errorf("read %q, %d, %v", text, id, on)
	}
}

func TestAFaultSaysLineAndColumn(t *testing.T) {
	for text, column := range map[string]int{"{\n  \"port\": x\n}": 11, "{\n  \"größe 🙂\": x\n}": 14, "{\n  \"\xff\": x\n}": 8} {
		r := over(text)
		err := r.Object(func([]byte) error { _, err := r.Int64(); return err })
		var fault *SyntaxError
		if !errors.As(err, &fault) || fault.Line != 2 || fault.Column != column {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestADocumentThatEndsTooEarlyIsToldFromOneThatIsWrong(t *testing.T) {
	for text, early := range map[string]bool{"": true, "{": true, `{"a":"b`: true, `"\u00`: true, "[1,": true, "tr": true, "{]": false, "trx": false} {
		var fault *SyntaxError
		if err := over(text).Skip(); !errors.As(err, &fault) || fault.Early != early {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestWhatIsNoJSONIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "{", "[1,]", `{"a" 1}`, `{"a":1,}`, "01", "1.", "-", "+1", "1e", `"\x"`, `"\u12g4"`, "\"\t\"", "tru", "nul", `{a:1}`,
		"[1 2]", `"open`, strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1), strings.Repeat("9", maxNumber+1),
	} {
		r := over(text)
		if r.Skip() == nil && r.End() == nil {
			t.Errorf("accepted %q", text)
		}
	}
}

func TestAStringHasABound(t *testing.T) {
	if _, err := over(`"` + strings.Repeat("x", 101) + `"`).String(100); err == nil {
		t.Error("a string over the limit was accepted")
	}
	if text, err := over(`"` + strings.Repeat("x", 100) + `"`).String(100); err != nil || len(text) != 100 {
		t.Error(len(text), err)
	}
}

func TestABrokenStreamIsNotTakenForTheEnd(t *testing.T) {
	r := NewReader(bufio.NewReader(iotest.ErrReader(errors.New("the connection broke"))))
	var fault *SyntaxError
	if err := r.Skip(); err == nil || errors.As(err, &fault) {
		t.Errorf("got %v", err)
	}
}

// FuzzSkip holds the reader against encoding/json: both accept the same documents and read the same strings.
func FuzzSkip(f *testing.F) {
	for _, seed := range []string{
		`{"ok":true,"result":[{"update_id":1,"message":{"text":"hé"}}]}`, `"\ud83d\ude42"`, `"\ud83dx"`, `"\ud83d\n"`, `"\udc00"`,
		`"\ud83d\ud83d\ude42"`, "[1e5,-0.1]", "null", "\"\xff\"", "{}", "[]", " 1 ", `{"a":[{}]}`, `"\u0000"`, "\"\xf0\x9f\"",
		"{\"größe\": \"🙂\"}", `{"ok":true,"result":[{"text":"cut`, `"\u00`, "tr",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Count(text, "[")+strings.Count(text, "{") > MaxDepth || len(text) > MaxKey {
			return
		}
		r := over(text)
		err := r.Skip()
		if err == nil {
			err = r.End()
		}
		valid := json.Valid([]byte(text))
		if valid != (err == nil) && !(valid && strings.Contains(err.Error(), "too long")) {
			t.Fatalf("%q: encoding/json says %v, we say %v", text, valid, err)
		}
		var wanted string
		if json.Unmarshal([]byte(text), &wanted) == nil && strings.TrimSpace(text) != "null" {
			if got, err := over(text).String(1 << 20); err != nil || got != wanted {
				t.Fatalf("%q: %q, %v instead of %q", text, got, err, wanted)
			}
		}
	})
}

// FuzzAppendString makes sure that every text survives being written and read again.
func FuzzAppendString(f *testing.F) {
	f.Add("plain")
	f.Add("\"\\\n\x00\x7fü🙂\u2028")
	f.Fuzz(func(t *testing.T, text string) {
		written := AppendString(nil, text)
		var back string
		if err := json.Unmarshal(written, &back); err != nil {
			t.Fatalf("%q: %v", written, err)
		}
		if wanted := strings.ToValidUTF8(text, "\uFFFD"); back != wanted && back != string([]rune(text)) {
			t.Fatalf("%q became %q", text, back)
		}
	})
}

func TestAPrefixEndsBetweenTwoCharacters(t *testing.T) {
	for limit, wanted := range map[int]string{0: "", 1: "a", 2: "a", 3: "aé", 5: "aé", 7: "aé🙂", 9: "aé🙂x"} {
		text, cut, err := over(`"aé🙂x" `).Prefix([]byte("<"), limit)
		if err != nil || string(text) != "<"+wanted || cut != (limit < 8) {
			t.Errorf("%d: %q, %v, %v", limit, text, cut, err)
		}
	}
}

func TestANumberIsReadAsItIsWritten(t *testing.T) {
	if text, err := over(" 0.70e1,").Number(); err != nil || text != "0.70e1" {
		t.Error(text, err)
	}
}

func TestAStringIsAppended(t *testing.T) {
	for document, wanted := range map[string]string{`"caf\u00e9"`: "held café", `""`: "held ", "\"a\xffb\"": "held a\uFFFDb"} {
		got, err := over(document).Append([]byte("held "), 64)
		if err != nil || string(got) != wanted {
			t.Errorf("%s: %q, %v", document, got, err)
		}
	}
	for _, document := range []string{`"much too long"`, `"cut`, `7`} {
		got, err := over(document).Append([]byte("held "), 4)
		if err == nil || string(got) != "held " {
			t.Errorf("%s: %q, %v", document, got, err)
		}
	}
}
