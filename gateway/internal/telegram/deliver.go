package telegram

import (
	"errors"
	"strings"

	"slimdeploy/gateway/internal/logline"
	"slimdeploy/gateway/internal/markdown"
	"slimdeploy/gateway/internal/wire"
)

// Reply is what a message is answered with; nothing is sent where Text is empty. Markdown says that Text is marked up.
type Reply struct {
	Text     string
	Markdown bool
}

// deliver sends a reply, in pieces where it is long; one that Telegram does not take is counted and let go.
func (p *Poller) deliver(stop <-chan struct{}, message *Message, reply Reply) error {
	if strings.TrimSpace(reply.Text) == "" {
		return nil
	}
	p.sending.Lock() // for all pieces: those that were sent would be sent again after a stop between them
	defer p.sending.Unlock()
	if stopped(stop) {
		return wire.ErrInterrupted
	}
	out := Outgoing{Chat: message.Chat, Topic: message.Topic, Text: reply.Text}
	if message.Group {
		out.ReplyTo = message.ID
	}
	if !reply.Markdown && len(reply.Text) <= markdown.MaxUnits {
		return p.count(p.insist(stop, out))
	}
	splitter := markdown.NewSplitter(reply.Text, reply.Markdown)
	for {
		piece, more := splitter.Next(p.piece[:0])
		if !more {
			return p.count(true, nil)
		}
		p.piece = kept(piece, mostOutgoing)
		if strings.TrimSpace(borrowed(piece)) == "" {
			continue // Telegram takes no empty message, and the pieces behind it would be lost
		}
		sent, err := p.sendPiece(stop, out, borrowed(piece), reply.Markdown)
		if err != nil || !sent {
			return p.count(sent, err)
		}
		out.ReplyTo = 0
	}
}

func (p *Poller) count(sent bool, err error) error {
	if sent {
		p.Stats.Outbound.Add(1)
	}
	return err
}

// sendPiece sends one piece; where Telegram rejects its markup, as it was written.
func (p *Poller) sendPiece(stop <-chan struct{}, out Outgoing, piece string, marked bool) (sent bool, err error) {
	out.Text = piece
	if !marked {
		return p.insist(stop, out)
	}
	marks := markdown.AppendHTML(p.html[:0], piece)
	p.html = kept(marks, mostOutgoing)
	html := out
	html.Text, html.HTML = borrowed(marks), true
	if strings.TrimSpace(html.Text) == "" { // such as that of a block of code without a line
		return p.insist(stop, out)
	}
	if sent, err = p.insist(stop, html); !rejected(err) {
		return sent, err
	}
	p.Stats.Errors.Add(1)
	logline.Warn("Telegram rejects the markup of a reply, which is sent as plain text", "error", err.Error())
	return p.insist(stop, out)
}

// rejected tells whether it is the markup that Telegram does not take.
func rejected(err error) bool {
	return code(err) == 400 && strings.Contains(err.Error(), "parse entities")
}

// movedTo is the chat that err says a group has become, 0 where it says none.
func movedTo(err error) int64 {
	var failure *Failure
	if errors.As(err, &failure) {
		return failure.MovedTo
	}
	return 0
}

// insist sends a message, again where that may help. An error ends the poll, but for that of rejected markup; a message that
// is not taken is no error.
func (p *Poller) insist(stop <-chan struct{}, out Outgoing) (sent bool, err error) {
	if err := p.Bot.Send(out); err != nil {
		return p.retry(stop, out, err)
	}
	return true, nil
}

// sendTries is how often a reply is tried before it is given up, so that one message can't hold up the others. Where
// nothing else reaches Telegram either, it is not the message's fault, and no try counts.
const sendTries = 6

func (p *Poller) reachable() bool {
	_, err := p.Bot.Name()
	return err == nil
}

// retry goes on after err.
func (p *Poller) retry(stop <-chan struct{}, out Outgoing, err error) (sent bool, failed error) {
	pause := p.firstPause()
	moved := false
	for try := 1; err != nil; try++ {
		if errors.Is(err, wire.ErrInterrupted) || code(err) == 401 || (out.HTML && rejected(err)) {
			return false, err
		}
		p.Stats.Errors.Add(1)
		if chat := movedTo(err); chat != 0 && !moved {
			moved, out.Chat, out.ReplyTo = true, chat, 0 // which numbers its messages anew
			err = p.Bot.Send(out)
			continue
		}
		given := code(err) != 0 && code(err) != 429 && code(err) < 500
		if given || (try >= sendTries && p.meanwhile(p.reachable)) {
			logline.Error("a reply could not be sent", "error", err.Error())
			return false, nil
		}
		if !p.told.Already(err) {
			logline.Warn("a reply is tried again", "error", err.Error())
		}
		if !p.meanwhile(func() bool { return rest(stop, wait(err, &pause)) }) || stopped(stop) {
			return false, wire.ErrInterrupted
		}
		err = p.Bot.Send(out)
	}
	return true, nil
}

// meanwhile does work that takes long while a stop or a reload may go on: an outage may be what the new settings end.
func (p *Poller) meanwhile(work func() bool) bool {
	p.sending.Unlock()
	p.handling.Unlock()
	done := work()
	p.handling.Lock()
	p.sending.Lock()
	return done
}
