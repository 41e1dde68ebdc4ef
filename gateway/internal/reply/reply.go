// Package reply decides what a message is answered with. It knows nothing of channels.
package reply

import "strings"

// Help is what /help answers.
const Help = "I send back what you write.\n/start, /help: this text\n/ping: am I alive?"

// To is the answer to text: a command's own, or the text itself.
func To(text string) string {
	command, _, _ := strings.Cut(text, " ")
	command, _, _ = strings.Cut(command, "@") // in groups a command may name its bot: /ping@name_bot
	switch command {
	case "/start", "/help":
		return Help
	case "/ping":
		return "pong"
	}
	return text
}
