package wire

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"slimdeploy/gateway/internal/sizes"
)

// answer reads one answer the way Client does.
func answer(in *bufio.Reader) (head, string, error) {
	h, err := readHead(in)
	if err != nil {
		return h, "", err
	}
	text, err := io.ReadAll(&bounded{in: new(content).of(h, in), left: maxBody})
	return h, string(text), err
}

func reader(text string) *bufio.Reader {
	return bufio.NewReaderSize(strings.NewReader(text), sizes.Reader)
}

func TestABodyIsReadHoweverItIsFramed(t *testing.T) {
	for text, wanted := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello":                                                                         "hello",
		"HTTP/1.1 200 OK\r\ncontent-length:5 \r\ncontent-length: 5\r\n\r\nhello":                                                    "hello",
		"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n":                                                                                 "",
		"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello":                                                                               "hello", // section 2.2: LF alone ends a line
		"HTTP/1.1 200 OK\r\n\r\nuntil the end":                                                                                      "until the end",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n":                                              "hello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n00A\r\n0123456789\r\n1\r\n!\r\n000\r\n\r\n":                           "0123456789!",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=\"b\";c\r\nhi\r\n0;x\r\n\r\n":                                     "hi",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nhi\r\n0\r\nExpires: 0\r\nX: y\r\n\r\n":                          "hi",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n":                         "hello",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi": "hi",
		"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n":                                                                      "",
		"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n":                                                           "",
	} {
		for name, in := range map[string]io.Reader{"at once": strings.NewReader(text), "in bytes": iotest.OneByteReader(strings.NewReader(text))} {
			if _, body, err := answer(bufio.NewReaderSize(in, sizes.Reader)); err != nil || body != wanted {
				t.Errorf("%s, %q: %q, %v", name, text, body, err)
			}
		}
	}
}

func TestOnlyWhatTheConnectionsEndDelimitsIsNotFramed(t *testing.T) {
	for fields, framed := range map[string]bool{
		"":                                       false,
		"Connection: close\r\n":                  false,
		"Content-Length: 5\r\n":                  true,
		"Content-Length: 0\r\n":                  true,
		"Transfer-Encoding: chunked\r\n":         true,
		"Transfer-Encoding: chunked\r\nX: y\r\n": true,
	} {
		in := reader("HTTP/1.1 200 OK\r\n" + fields + "\r\n")
		h, err := readHead(in)
		if err != nil || Framed(new(content).of(h, in)) != framed {
			t.Errorf("%q: %v, %v", fields, !framed, err)
		}
	}
}

func TestWhatIsNoAnswerIsRefused(t *testing.T) {
	const chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	field := strings.Repeat("x", 1000)
	for text, wanted := range map[string]error{
		"":                                    io.ErrUnexpectedEOF,
		"HTTP/1.1 200 OK\r\n":                 io.ErrUnexpectedEOF,
		"HTTP/1.1 100 \r\n\r\n":               io.ErrUnexpectedEOF,
		"SSH-2.0-OpenSSH_9.9\r\n":             errHead,
		"HTTP/2 200\r\n\r\n":                  errHead,
		"HTTP/1.x 200 OK\r\n\r\n":             errHead,
		"HTTP/1.1 20\r\n\r\n":                 errHead,
		"HTTP/1.1 2000 OK\r\n\r\n":            errHead,
		"HTTP/1.1 +99 OK\r\n\r\n":             errHead,
		"HTTP/1.1 099 OK\r\n\r\n":             errHead,
		"HTTP/1.1 200 OK\r\nno field\r\n\r\n": errHead,
		"HTTP/1.1 200 OK\r\nA: b\r\n Content-Length: 1\r\n\r\n":                                  errHead, // section 5.2: obsolete folding
		"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx":                                         errHead, // section 5.1: no space before the colon
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!":                errHead,
		"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello":                                     errHead,
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n":                        errHead,
		"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n":                                            errHead,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n":                   errHead,
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", sizes.Reader) + "\r\n\r\n":                errLong,
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+field+"\r\n", 33) + "\r\n":                  errLong,
		strings.Repeat("HTTP/1.1 100 Continue\r\nX: "+field+"\r\n\r\n", 40):                      errLong,
		"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello":                                      io.ErrUnexpectedEOF,
		"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + strings.Repeat("x", 9000000):      ErrLong,
		"HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 9000000):                                 ErrLong,
		chunks + strings.Repeat("100000\r\n"+strings.Repeat("x", 1<<20)+"\r\n", 9) + "0\r\n\r\n": ErrLong,
		chunks + "5\r\nhel":                  io.ErrUnexpectedEOF,
		chunks + "5\r\nhello":                io.ErrUnexpectedEOF,
		chunks + "5\r\nhello\r\n":            io.ErrUnexpectedEOF,
		chunks + "5\r\nhello\r\n0\r\n":       io.ErrUnexpectedEOF,
		chunks + "5\r\nhello!\r\n0\r\n\r\n":  errChunk,
		chunks + "-5\r\nhello\r\n0\r\n\r\n":  errChunk,
		chunks + "0x5\r\nhello\r\n0\r\n\r\n": errChunk,
		chunks + "\r\nhello\r\n0\r\n\r\n":    errChunk,
		chunks + " 5\r\nhello\r\n0\r\n\r\n":  errChunk,
		chunks + "100000000\r\nhello\r\n":    errChunk,
		chunks + "5;" + strings.Repeat("x", sizes.Reader) + "\r\nhello\r\n0\r\n\r\n": errChunk,
		chunks + "0\r\n" + strings.Repeat("X: y\r\n", 100) + "\r\n":                  errChunk,
	} {
		if _, body, err := answer(reader(text)); !errors.Is(err, wanted) {
			t.Errorf("%.80q: %.80q, %v instead of %v", text, body, err, wanted)
		}
	}
}

func TestWhatFollowsABodyIsLeftInTheStream(t *testing.T) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhi\r\n0\r\nA: b\r\n\r\n",
	} {
		in := reader(text + text + "rest")
		for range 2 {
			h, body, err := answer(in)
			if err != nil || body != "hi" || !h.keepAlive {
				t.Errorf("%q: %q, %v, %+v", text, body, err, h)
			}
		}
		if rest, _ := io.ReadAll(in); string(rest) != "rest" {
			t.Errorf("%q: %q is left", text, rest)
		}
	}
}

// FuzzReadHead holds the reader against net/http: where both take an answer, they read the same status and body.
func FuzzReadHead(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.0 502 Bad Gateway\r\nConnection: keep-alive\r\n\r\n<html>",
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nConnection: close, x\r\nContent-Length:\r\n 5\r\n\r\nhello",
		"HTTP/1.0 200 \nTrAnsfer-EnCoding:Chunked\n\n0\n\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, body, err := answer(reader(text))
		if err != nil {
			return
		}
		if h.status < 200 || h.status > 999 {
			t.Fatalf("%q: status %d", text, h.status)
		}
		in := bufio.NewReader(strings.NewReader(text))
		wanted, failed := &http.Response{}, error(nil)
		for wanted.StatusCode < 200 && failed == nil { // http.ReadResponse gives back interim answers too
			wanted, failed = http.ReadResponse(in, &http.Request{Method: "POST"})
			if failed == nil && wanted.StatusCode < 200 && (wanted.StatusCode == 101 || wanted.StatusCode < 100) {
				return // 101 ends HTTP, which the gateway never asks for; below 100 is none of net/http's cares
			}
			if failed != nil {
				return
			}
		}
		content, failed := io.ReadAll(wanted.Body)
		if failed != nil {
			return
		}
		if wanted.ProtoMinor == 0 && h.chunked {
			return // which has no meaning there; net/http takes the body as it stands
		}
		if h.status != wanted.StatusCode || body != string(content) {
			t.Fatalf("%q: %d %q, net/http reads %d %q", text, h.status, body, wanted.StatusCode, content)
		}
		if h.keepAlive && wanted.Close {
			t.Fatalf("%q: the connection is kept against the server's word", text)
		}
	})
}

// FuzzChunked does the same for a chunked body alone, and makes sure that nothing after it is eaten.
func FuzzChunked(f *testing.F) {
	for _, seed := range []string{"5\r\nhello\r\n0\r\n\r\nrest", "0\r\n\r\n", "a;b=c\r\n0123456789\r\n00\r\nX: y\r\n\r\n", "5\nhello\n0\n\n", "1\r\n\r\r\n0\r\n\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		in := reader(text)
		body, err := io.ReadAll(&chunked{in: in})
		if err != nil {
			return
		}
		left, _ := io.ReadAll(in)
		theirs := bufio.NewReader(strings.NewReader("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + text))
		response, err := http.ReadResponse(theirs, nil)
		if err != nil {
			t.Fatal(err)
		}
		wanted, err := io.ReadAll(response.Body)
		if err != nil {
			return
		}
		wantedLeft, _ := io.ReadAll(theirs)
		if string(body) != string(wanted) || string(left) != string(wantedLeft) {
			t.Fatalf("%q: %q and %q left, net/http reads %q and leaves %q", text, body, left, wanted, wantedLeft)
		}
	})
}
