package simulated

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"slimdeploy/gateway/internal/telegram"
	"slimdeploy/gateway/internal/wire"
)

// sent is a sendMessage's body.
type sent struct {
	ChatID          int64 `json:"chat_id"`
	Text            string
	ParseMode       string `json:"parse_mode"`
	ReplyParameters struct {
		MessageID int64 `json:"message_id"`
	} `json:"reply_parameters"`
}

// burst lets n updates of kinds through a gateway and gives back what was sent.
func burst(t *testing.T, n int, kinds ...Kind) (*Burst, []sent) {
	t.Helper()
	peer := New(kinds...)
	var all []sent
	peer.Sent = func(body []byte) {
		var one sent
		if err := json.Unmarshal(body, &one); err != nil {
			t.Errorf("%v in %s", err, body)
		}
		all = append(all, one)
	}
	gateway := Start(peer, filepath.Join(t.TempDir(), "offset"), nil)
	result, err := gateway.Burst(n)
	if err != nil {
		t.Fatal(err)
	}
	if err := gateway.Stop(); err != nil {
		t.Fatal(err)
	}
	return result, all
}

func TestEveryKindOfMessageGetsJustTheAnswersItDeserves(t *testing.T) {
	t.Parallel()
	const rounds = 30
	result, all := burst(t, rounds*int(kinds), All()...)
	if !result.Whole() || result.Updates != rounds*int64(kinds) || result.Produced != rounds*8 {
		t.Errorf("%+v", result)
	}
	answers := map[int64][]sent{}
	for _, one := range all {
		answers[update(one.ChatID)] = append(answers[update(one.ChatID)], one)
	}
	for id := int64(1); id <= result.Updates; id++ {
		kind := Kind((id - 1) % int64(kinds))
		if len(answers[id]) != kind.Answers() {
			t.Fatalf("%v, update %d: %d answers", kind, id, len(answers[id]))
		}
	}
	for kind, wanted := range map[Kind]func(first sent) bool{
		Short: func(s sent) bool { return s.Text == "Hello, is anybody there?" && s.ParseMode == "" },
		FourKB: func(s sent) bool {
			return len(s.Text) == 4096 && strings.HasPrefix(s.Text, line64[:64]) && s.ReplyParameters.MessageID == 0
		},
		Markdown: func(s sent) bool {
			return s.ParseMode == "HTML" && strings.Count(s.Text, "<b>bold</b>") == 4 && strings.Contains(s.Text, "one &lt;item&gt;")
		},
		Emoji: func(s sent) bool {
			return strings.HasPrefix(s.Text, "🚀é👩‍🚀 你好 🚀") && strings.Count(s.Text, "你好") == 16
		},
		Group: func(s sent) bool {
			return s.Text == "what is the time?" && s.ReplyParameters.MessageID == int64(Group)+1 && s.ChatID < firstGroup
		},
		Command: func(s sent) bool { return s.Text == "pong" },
		Photo:   func(s sent) bool { return s.Text == "My board, and a coin" },
		Long:    func(s sent) bool { return s.ParseMode == "HTML" && len(s.Text) > 2000 && len(s.Text) <= 4096 },
	} {
		if first := answers[int64(kind)+1][0]; !wanted(first) {
			t.Errorf("%v: %+v", kind, first)
		}
	}
}

func TestEveryKindIsOneThatTelegramCouldSend(t *testing.T) {
	t.Parallel()
	for _, kind := range All() {
		var update struct {
			ID            int64 `json:"update_id"`
			Message       struct{ Text, Caption string }
			EditedMessage struct{ Text string } `json:"edited_message"`
		}
		if err := json.Unmarshal(appendUpdate(nil, 7, kind), &update); err != nil || update.ID != 7 {
			t.Errorf("%v: %v", kind, err)
		}
		text := update.Message.Text + update.Message.Caption + update.EditedMessage.Text
		if units := len(utf16.Encode([]rune(text))); units == 0 || units > 4096 {
			t.Errorf("%v has %d units", kind, units)
		}
	}
}

func TestAGatewayAnswersBurstAfterBurst(t *testing.T) {
	t.Parallel()
	gateway := Start(New(Short, Unmentioned), filepath.Join(t.TempDir(), "offset"), nil)
	defer gateway.Stop()
	for _, n := range []int{1, 250, 2} {
		result, err := gateway.Burst(n)
		if err != nil || !result.Whole() || result.Updates != int64(n) || result.Produced < int64(n)/2 || result.Consumed == 0 && n > 1 {
			t.Errorf("%d: %v, %+v", n, err, result)
		}
	}
}

// bot is one that calls peer by itself, so that it can do wrong.
func bot(t *testing.T, peer *Telegram) *telegram.Bot {
	bot := telegram.NewBot(wire.Endpoint{Host: "simulated", Port: "80"}, Token, nil)
	bot.Over(peer.Dial)
	t.Cleanup(bot.Close)
	return bot
}

func TestAMissingASecondAndAnUnwantedAnswerAreSeen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		chats           []int64
		answered, wrong int64
	}{
		"as it should be":       {[]int64{1, 3}, 2, 0},
		"one is missing":        {[]int64{3}, 1, 0},
		"one has two":           {[]int64{1, 1, 3}, 1, 1},
		"one deserves none":     {[]int64{1, 2, 3}, 2, 1},
		"one comes late":        {[]int64{3, 1}, 1, 1},
		"one was never written": {[]int64{1, 3, 9}, 2, 1},
		"none":                  {nil, 0, 0},
	} {
		peer := New(Short, Edited)
		peer.Deliver(3)
		b := bot(t, peer)
		for _, chat := range c.chats {
			if err := b.Send(telegram.Outgoing{Chat: firstPerson + chat, Text: "x"}); err != nil {
				t.Fatal(err)
			}
		}
		counts := peer.Counts()
		if counts.Updates != 3 || counts.Produced != 2 || counts.Answered != c.answered || counts.Wrong != c.wrong {
			t.Errorf("%s: %+v", name, counts)
		}
		if whole := (&Burst{Counts: counts, Consumed: 2}).Whole(); whole != (name == "as it should be") {
			t.Errorf("%s: whole is %v", name, whole)
		}
	}
}

func TestUpdatesComeAgainUntilTheyAreConfirmed(t *testing.T) {
	t.Parallel()
	peer := New(Short)
	peer.Deliver(5)
	b := bot(t, peer)
	for _, c := range []struct {
		offset int64
		limit  int
		ids    []int64
	}{{0, 2, []int64{1, 2}}, {0, 100, []int64{1, 2, 3, 4, 5}}, {3, 2, []int64{3, 4}}, {1, 2, []int64{3, 4}}, {6, 100, nil}} {
		found, err := b.Updates(c.offset, c.limit, 0)
		if err != nil || len(found) != len(c.ids) {
			t.Fatalf("%d: %v, %d updates", c.offset, err, len(found))
		}
		for i := range found {
			if found[i].ID != c.ids[i] {
				t.Errorf("%d: update %d is %d", c.offset, i, found[i].ID)
			}
		}
	}
	if !peer.Wait(0) && !peer.Wait(time.Second) {
		t.Error("all is confirmed, and nobody says so")
	}
}

func TestALongPollEndsWithAMessageOrWithItsTime(t *testing.T) {
	t.Parallel()
	peer := New(Short)
	b := bot(t, peer)
	start := time.Now()
	if found, err := b.Updates(0, 10, time.Second); err != nil || len(found) != 0 || time.Since(start) < 900*time.Millisecond {
		t.Errorf("%v, %d updates after %v", err, len(found), time.Since(start))
	}
	time.AfterFunc(20*time.Millisecond, func() { peer.Deliver(1) })
	if found, err := b.Updates(0, 10, time.Minute); err != nil || len(found) != 1 || time.Since(start) > 30*time.Second {
		t.Errorf("%v, %d updates after %v", err, len(found), time.Since(start))
	}
	time.AfterFunc(20*time.Millisecond, b.Interrupt)
	if _, err := b.Updates(2, 10, time.Minute); !errors.Is(err, wire.ErrInterrupted) {
		t.Error(err)
	}
}

func TestARequestMayComeInPieces(t *testing.T) {
	t.Parallel()
	conn, _ := New(Short).Dial()
	defer conn.Close()
	for _, piece := range []string{"POST /bot1:x/get", "Me HTTP/1.1\r\nContent-Length: 2\r\n", "\r\n{", "}POST /bot1:x/nothing HTTP/1.1\r\n"} {
		if n, err := io.WriteString(conn, piece); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	answer := make([]byte, 1024)
	n, err := conn.Read(answer)
	if err != nil || !strings.HasSuffix(string(answer[:n]), me) {
		t.Errorf("%q, %v", answer[:n], err)
	}
	io.WriteString(conn, "\r\n")
	if n, err = conn.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 404 ") || !strings.HasSuffix(string(answer[:n]), `"}`) {
		t.Errorf("%q, %v", answer[:n], err)
	}
	conn.SetDeadline(time.Unix(1, 0))
	if _, err := conn.Read(answer); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

func TestKindsAreNamed(t *testing.T) {
	t.Parallel()
	found, err := ParseKinds("4k,short,4k")
	if err != nil || len(found) != 3 || found[0] != FourKB || found[1] != Short {
		t.Error(found, err)
	}
	if found, err = ParseKinds("all"); err != nil || len(found) != int(kinds) {
		t.Error(found, err)
	}
	for _, kind := range All() {
		if found, err = ParseKinds(kind.String()); err != nil || found[0] != kind {
			t.Error(kind, found, err)
		}
	}
	for _, wrong := range []string{"", "short,", "Short", "all,short"} {
		if _, err := ParseKinds(wrong); err == nil || !strings.Contains(err.Error(), "markdown") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// TestTheSimulationItselfAllocatesNothing is why what a burst allocates can be called the gateway's.
func TestTheSimulationItselfAllocatesNothing(t *testing.T) {
	peer := New(All()...)
	conn, _ := peer.Dial()
	peer.Deliver(1 << 20)
	const body = `{"offset":0,"limit":100,"timeout":45,"allowed_updates":["message"]}`
	get := []byte("POST /bot1:x/getUpdates HTTP/1.1\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
	answer := make([]byte, 8192)
	exchange := func() {
		if _, err := conn.Write(get); err != nil {
			t.Fatal(err)
		}
		for n := 0; n == 0 || string(answer[n-2:n]) != tail; {
			n, _ = conn.Read(answer)
		}
	}
	exchange()
	if each := testing.AllocsPerRun(100, exchange); each != 0 {
		t.Errorf("a getUpdates allocates %v times", each)
	}
}

func TestABurstAllocatesLittle(t *testing.T) {
	for _, kind := range All() {
		t.Run(kind.String(), func(t *testing.T) {
			gateway := Start(New(kind), filepath.Join(t.TempDir(), "offset"), nil)
			defer gateway.Stop()
			if _, err := gateway.Burst(200); err != nil { // buffers grow
				t.Fatal(err)
			}
			const messages = 2000
			result, err := gateway.Burst(messages)
			if err != nil {
				t.Fatal(err)
			}
			each := result.Bytes / messages
			t.Logf("%d bytes a message, %d allocations for %d", each, result.Mallocs, messages)
			if each > 128 {
				t.Errorf("a message allocates %d bytes", each)
			}
		})
	}
}
