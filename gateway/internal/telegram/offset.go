package telegram

import (
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"slimdeploy/gateway/internal/logline"
)

const (
	// offsetAge is how long an offset is good for: after a week without updates the Bot API begins to number them anew
	// (core.telegram.org/bots/api, "Update", update_id), and a higher offset would hide the new ones.
	offsetAge = 6 * 24 * time.Hour
	// largestBatch is how many updates one getUpdates can bring (core.telegram.org/bots/api, "getUpdates", limit).
	largestBatch = 100
)

// offsetFile keeps the offset over a restart; nothing is kept where path is "". It is written where a message was
// answered and more of the same batch wait, or where the next getUpdates does not get through; else that confirms the
// offset at Telegram at once, and the flash is spared. It begins with the bot's number: another bot's updates have other
// numbers. While it is open it is locked, so that two gateways don't answer the same messages.
type offsetFile struct {
	path   string
	file   *os.File // open as long as the poller runs: a file that is opened, written and renamed anew costs 700 bytes of heap
	line   [offsetLine]byte
	offset int64 // what the file has
	silent bool  // that it can't be written was said
}

// offsetLine is the file's length: two numbers of at most 20 digits, a space before and spaces after the second, and an
// end of line.
const offsetLine = 48

// open takes the file for this process and loads what it has. Where another process has taken it, it tells whether that
// one is a gateway of the same bot, which is to be waited for. A file that can't be had is done without.
func (f *offsetFile) open(bot string) (offset int64, wait bool) {
	if f.path == "" {
		return 0, false
	}
	file, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		f.fail(err)
		f.path = ""
		return 0, false
	}
	taken := locked(file) // before it is read: who has it may still write
	length, _ := io.ReadFull(file, f.line[:])
	text := string(f.line[:length])
	whose, number, _ := strings.Cut(strings.TrimSpace(text), " ")
	if taken {
		file.Close()
		if whose == bot || text == "" {
			return 0, true
		}
		logline.Warn("another bot's gateway keeps its offset here: give each config a folder of its own", "file", f.path)
		f.path = ""
		return 0, false
	}
	f.file = file
	offset, err = strconv.ParseInt(number, 10, 64)
	if text != "" && (err != nil || offset < 0) {
		logline.Warn("the file with the offset holds none", "file", f.path)
	}
	if err != nil || whose != bot || offset < 0 {
		offset = 0
	}
	f.offset = -1 // so that it is written, and says whose it is
	f.save(bot, offset)
	if err := file.Truncate(offsetLine); err != nil { // what stood there may have been longer
		f.fail(err)
	}
	return offset, false
}

// save keeps offset. One write of a line that has always the same length is there wholly or not at all for a process that
// is killed. It is not forced to the disk, so that a power cut may undo it.
func (f *offsetFile) save(bot string, offset int64) {
	if f.file == nil || offset == f.offset {
		return
	}
	line := strconv.AppendInt(append(append(f.line[:0], bot...), ' '), offset, 10)
	for len(line) < offsetLine-1 {
		line = append(line, ' ')
	}
	if _, err := f.file.WriteAt(append(line, '\n'), 0); err != nil {
		f.fail(err)
		return
	}
	f.offset, f.silent = offset, false
}

// fail says once that the offset can't be kept.
func (f *offsetFile) fail(err error) {
	if !f.silent {
		logline.Warn("the offset can't be kept: a message may be answered twice after a kill", "error", err.Error())
	}
	f.silent = true
}

// close lets others have the file.
func (f *offsetFile) close() {
	if f.file != nil {
		f.file.Close()
		f.file = nil
	}
}
