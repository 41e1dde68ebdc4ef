package telegram

import (
	"os"
	"strconv"
	"strings"
	"time"

	"slimdeploy/gateway/internal/logline"
)

// offsetAge is how long an offset is good for: after a week without updates the Bot API begins to number them anew
// (core.telegram.org/bots/api, "Update", update_id), and a higher offset would hide the new ones.
const offsetAge = 6 * 24 * time.Hour

// offsetFile keeps the offset over a restart; nothing is kept where path is "". It is written where a message was
// answered and more of the same batch wait; else the next getUpdates confirms it at Telegram at once, and the flash is
// spared. It begins with the bot's number: another bot's updates have other numbers.
type offsetFile struct {
	path string
	file *os.File // open from the first save on: a file that is opened, written and renamed anew costs 700 bytes of heap
	line [offsetLine]byte
}

// offsetLine is the file's length: two numbers of at most 20 digits, a space before and spaces after the second, and an
// end of line.
const offsetLine = 48

// load is the offset that was kept for the bot, 0 where there is none, or an old one.
func (f *offsetFile) load(bot string) int64 {
	if f.path == "" {
		return 0
	}
	info, err := os.Stat(f.path)
	if err != nil || time.Since(info.ModTime()) > offsetAge {
		return 0
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return 0
	}
	whose, number, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	offset, err := strconv.ParseInt(number, 10, 64)
	if err != nil || offset < 0 {
		logline.Warn("the file with the offset holds none", "file", f.path)
		return 0
	}
	if whose != bot {
		return 0
	}
	return offset
}

// save keeps offset. One write of a line that has always the same length is there wholly or not at all for a process that
// is killed. It is not forced to the disk, so that a power cut may undo it.
func (f *offsetFile) save(bot string, offset int64) {
	if f.path == "" {
		return
	}
	if err := f.write(bot, offset); err != nil {
		logline.Warn("the offset can't be kept: a message may be answered twice after a kill", "error", err.Error())
		f.close()
	}
}

func (f *offsetFile) write(bot string, offset int64) error {
	first := f.file == nil
	if first {
		file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		f.file = file
	}
	line := strconv.AppendInt(append(append(f.line[:0], bot...), ' '), offset, 10)
	for len(line) < offsetLine-1 {
		line = append(line, ' ')
	}
	if _, err := f.file.WriteAt(append(line, '\n'), 0); err != nil {
		return err
	}
	if first { // what stood there may have been longer
		return f.file.Truncate(int64(len(line) + 1))
	}
	return nil
}

func (f *offsetFile) close() {
	if f.file != nil {
		f.file.Close()
		f.file = nil
	}
}
