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

// offsetFile keeps the offset over a restart, "" where it is not kept. It is written where a message was answered and
// more of the same batch wait; else the next getUpdates confirms it at Telegram at once, and the flash is spared. It
// begins with the bot's number: another bot's updates have other numbers.
type offsetFile string

// load is the offset that was kept for the bot, 0 where there is none, or an old one.
func (f offsetFile) load(bot string) int64 {
	if f == "" {
		return 0
	}
	info, err := os.Stat(string(f))
	if err != nil || time.Since(info.ModTime()) > offsetAge {
		return 0
	}
	text, err := os.ReadFile(string(f))
	if err != nil {
		return 0
	}
	whose, number, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	offset, err := strconv.ParseInt(number, 10, 64)
	if err != nil || offset < 0 {
		logline.Warn("the file with the offset holds none", "file", string(f))
		return 0
	}
	if whose != bot {
		return 0
	}
	return offset
}

// save keeps offset, wholly or not at all. It is not forced to the disk: what it guards against is a process that is
// killed, not a power cut.
func (f offsetFile) save(bot string, offset int64) {
	if f == "" {
		return
	}
	part := string(f) + ".part"
	err := os.WriteFile(part, append(strconv.AppendInt([]byte(bot+" "), offset, 10), '\n'), 0o600)
	if err == nil {
		err = os.Rename(part, string(f))
	}
	if err != nil {
		logline.Warn("the offset can't be kept: a message may be answered twice after a kill", "error", err.Error())
	}
}
