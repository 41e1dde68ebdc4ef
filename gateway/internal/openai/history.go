package openai

import "strings"

// What is remembered is bounded: so many chats, so many bytes a chat, and so many messages as the settings say.
const (
	maxChats = 16
	maxBytes = 4 << 10
)

// history is what was said lately, in the chats that were heard of last.
type history struct {
	chats []conversation // the latest first
}

type conversation struct {
	chat  int64
	turns []turn // the oldest first; a user's and the model's by turns
}

type turn struct {
	role, content string
}

func (h *history) find(chat int64) int {
	for i := range h.chats {
		if h.chats[i].chat == chat {
			return i
		}
	}
	return -1
}

// each hands out what was said in chat, the oldest first.
func (h *history) each(chat int64, say func(role, content string)) {
	if i := h.find(chat); i >= 0 {
		for _, t := range h.chats[i].turns {
			say(t.role, t.content)
		}
	}
}

// add remembers a question, which it clones, and its answer, and forgets what is too old or too much.
func (h *history) add(chat int64, question, answer string, turns int) {
	i := h.find(chat)
	if i < 0 {
		if len(h.chats) < maxChats {
			h.chats = append(h.chats, conversation{})
		}
		i = len(h.chats) - 1
		h.chats[i] = conversation{chat: chat}
	}
	c := h.chats[i]
	copy(h.chats[1:i+1], h.chats[:i])
	c.turns = append(c.turns, turn{"user", strings.Clone(question)}, turn{"assistant", answer})
	size := 0
	for _, t := range c.turns {
		size += len(t.content)
	}
	drop := 0
	for drop < len(c.turns) && (len(c.turns)-drop > turns || size > maxBytes) {
		size -= len(c.turns[drop].content) + len(c.turns[drop+1].content)
		drop += 2
	}
	c.turns = append(c.turns[:0:0], c.turns[drop:]...)
	h.chats[0] = c
}

// forget drops a chat.
func (h *history) forget(chat int64) {
	if i := h.find(chat); i >= 0 {
		h.chats = append(h.chats[:i], h.chats[i+1:]...)
	}
}
