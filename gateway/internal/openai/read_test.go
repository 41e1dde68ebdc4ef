package openai

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// raw gives an answer byte for byte, and ends the connection.
func raw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		io.WriteString(conn, text)
		conn.Close()
	}
}

// Where nothing says how long an answer is, the end of a torn connection looks as its own does, unless the model says that
// it has come to an end.
func TestAnAnswerIsWholeWhereSomethingSaysSo(t *testing.T) {
	const (
		piece    = "data: {\"choices\":[{\"delta\":{\"content\":\"yes\"},\"finish_reason\":null}]}\n\n"
		stop     = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
		document = `{"choices":[{"message":{"content":"yes"}}]}`
	)
	counted := fmt.Sprintf("Content-Length: %d\r\n\r\n", len(piece))
	chunked := fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", len(piece))
	for name, c := range map[string]struct {
		answer string
		whole  bool
	}{
		"[DONE]":                    {"\r\n" + piece + "data: [DONE]\n\n", true},
		"a reason to finish":        {"\r\n" + piece + stop, true},
		"a document":                {"\r\n" + document, true},
		"counted":                   {counted + piece, true},
		"in chunks":                 {chunked + piece + "\r\n0\r\n\r\n", true},
		"the connection's end":      {"\r\n" + piece, false},
		"an end within an event":    {"\r\n" + piece + stop[:20], false},
		"too few bytes":             {"Content-Length: 1000\r\n\r\n" + piece, false},
		"chunks without a last one": {chunked + piece + "\r\n", false},
	} {
		e := newEndpoint(t, raw("HTTP/1.1 200 OK\r\nConnection: close\r\n"+c.answer))
		got, _ := e.provider(nil).Answer(1, "q")
		if whole := got == "yes"; whole != c.whole || (!whole && got != "yes\n\n(The answer broke off here.)") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAnEventWithoutDataIsPassedOver(t *testing.T) {
	for _, empty := range []string{"data:\n\n", "data: \n\n", "data:\r\n\r\n"} {
		e := newEndpoint(t, answer(200, empty+"data: {\"choices\":[{\"delta\":{\"content\":\"yes\"}}]}\n\n"+empty+"data: [DONE]\n\n"))
		if got, _ := e.provider(nil).Answer(1, "q"); got != "yes" {
			t.Errorf("%q: %q", empty, got)
		}
	}
}

// A model may spend all its tokens on thinking.
func TestAnAnswerThatIsCutBeforeItsFirstWordIsNone(t *testing.T) {
	const thought = "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"},\"finish_reason\":null}]}\n\n"
	e := newEndpoint(t, answer(200, thought+"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n"))
	p := e.provider(nil)
	for range 2 {
		if got, markdown := p.Answer(1, "q"); !strings.Contains(got, "gave no answer") || markdown {
			t.Errorf("%q", got)
		}
	}
	if asked := e.asked[1].Messages; len(asked) != 1 {
		t.Errorf("it is remembered: %+v", asked)
	}
}
