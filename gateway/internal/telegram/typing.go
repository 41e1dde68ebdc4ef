package telegram

import (
	"errors"
	"time"

	"slimdeploy/gateway/internal/logline"
	"slimdeploy/gateway/internal/wire"
)

// typingTime is how often it is shown that an answer is on its way; Telegram shows it for five seconds
// (core.telegram.org/bots/api, "sendChatAction").
const typingTime = 4500 * time.Millisecond

// shower shows in a chat that an answer is on its way, for as long as it takes. The bot is its own until end.
type shower struct{ stop, ended chan struct{} }

// showTyping is what Handle calls before an answer that takes time. Telegram answers meanwhile, and so the gateway stays
// ready.
func (p *Poller) showTyping() {
	chat, topic := p.current.Chat, p.current.Topic
	every, limit := typingTime, typingTime // the answer waits for the call: both go over one connection
	if p.typingEvery > 0 {
		every = p.typingEvery
	}
	if p.typingLimit > 0 {
		limit = p.typingLimit
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	p.typed = shower{stop, ended}
	go func() {
		defer close(ended)
		for {
			if err := p.Bot.Typing(chat, topic, limit); errors.Is(err, wire.ErrInterrupted) {
				return
			} else if err != nil {
				logline.Warn("that it types could not be shown", "error", err.Error())
			} else {
				p.Stats.Answered(p.Bot.TLS())
			}
			if !rest(stop, every) {
				return
			}
		}
	}()
}

// end ends what showTyping began, if it did.
func (s *shower) end() {
	if s.stop != nil {
		close(s.stop)
		<-s.ended
		*s = shower{}
	}
}
