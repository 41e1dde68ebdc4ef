package telegram

import (
	"bufio"
	"strings"
	"testing"

	"slimdeploy/gateway/internal/jsonstream"
)

func readTexts(t *testing.T, to *texts, said ...string) (found []string) {
	t.Helper()
	for _, text := range said {
		document := bufio.NewReader(strings.NewReader(string(jsonstream.AppendString(nil, text))))
		read, err := to.read(jsonstream.NewReader(document), maxText)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, read)
	}
	return found
}

func TestTheTextsOfABatchStayAsTheyCameWhileTheBufferGrows(t *testing.T) {
	said := []string{"first", strings.Repeat("ü🙂", 1500), "", "third", strings.Repeat("x", 4096), "last"}
	var held texts
	for range 3 {
		for i, text := range readTexts(t, &held, said...) {
			if text != said[i] {
				t.Errorf("text %d has become %.20q", i, text)
			}
		}
		held.reset(false)
	}
}

func TestABufferThatHasGrownIsGivenUpWhenItIsQuiet(t *testing.T) {
	var held texts
	readTexts(t, &held, strings.Repeat("x", 4096))
	held.reset(true)
	if cap(held.buffer) < 4096 {
		t.Error("the buffer of one message is given up")
	}
	readTexts(t, &held, strings.Repeat("x", 4096), strings.Repeat("x", 4096), strings.Repeat("x", 4096))
	held.reset(false)
	if cap(held.buffer) == 0 {
		t.Error("the buffer of a batch is given up while messages come")
	}
	held.reset(true)
	if cap(held.buffer) > smallTexts {
		t.Errorf("%d bytes are kept", cap(held.buffer))
	}
}
