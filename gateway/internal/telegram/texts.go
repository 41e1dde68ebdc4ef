package telegram

import (
	"unsafe"

	"slimdeploy/gateway/internal/jsonstream"
	"slimdeploy/gateway/internal/sizes"
)

const (
	// smallTexts is how large a buffer for texts is kept whatever comes, in bytes: it holds a longest message.
	smallTexts = 8 << 10
	// mostTexts is how large a buffer is kept from one batch to the next: longest messages in ASCII, with what append
	// leaves room for.
	mostTexts = sizes.Updates * 6 << 10
	// mostOutgoing is how large a buffer for what is sent is kept, in bytes: of a longest message, which takes up to three
	// bytes a character, and more where it is marked up.
	mostOutgoing = 16 << 10
)

// texts holds what users wrote, and their names, in one buffer that the next batch of updates uses again.
type texts struct {
	buffer []byte
	bot    int64 // the number of the bot that they were written to
}

// reset is called before the next batch; quiet says that the last one brought nothing.
func (t *texts) reset(quiet bool) {
	most := mostTexts
	if quiet {
		most = smallTexts
	}
	t.buffer = kept(t.buffer, most)
}

// read reads a text of at most limit bytes, which is valid until reset. What append leaves behind where the buffer grows stays as it is.
func (t *texts) read(r *jsonstream.Reader, limit int) (text string, err error) {
	start := len(t.buffer)
	t.buffer, err = r.Append(t.buffer, limit)
	return borrowed(t.buffer[start:]), err
}

// borrowed is text as a string, without a copy: it is valid as long as nobody writes to text.
func borrowed(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) }

// kept is an emptied buffer that is used again, unless it has grown beyond most.
func kept(buffer []byte, most int) []byte {
	if cap(buffer) > most {
		return nil
	}
	return buffer[:0]
}
