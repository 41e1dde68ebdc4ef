package telegram

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"slimdeploy/gateway/internal/wire"
)

func TestARefusedTokenIsTheEnd(t *testing.T) {
	t.Parallel()
	for _, code := range []int{401, 404} {
		for _, method := range []string{"getMe", "getUpdates"} {
			api := newBotAPI(t)
			api.refuse(method, failure(code, "Unauthorized: /bot"+token+"/"+method))
			g := api.start()
			if err := g.wait(); !errors.Is(err, ErrUnauthorized) || strings.Contains(err.Error(), token) {
				t.Errorf("%s: %v", method, err)
			}
			state, detail := g.state()
			if state != "unauthorized" || g.Stats.Ready() || !strings.Contains(detail, "Unauthorized") || strings.Contains(detail, token) {
				t.Errorf("%s: %s, %q", method, state, detail)
			}
		}
	}
	api := newBotAPI(t)
	api.write(1, "one")
	api.refuse("sendMessage", failure(401, "Unauthorized"))
	if err := api.start().wait(); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("sendMessage: %v", err)
	}
}

func TestAnotherGatewaysPollIsAConflictThatMayPass(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	const told = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
	for range 3 {
		api.refuse("getUpdates", failure(409, told))
	}
	held := make(chan struct{})
	api.refuse("getUpdates", func(w http.ResponseWriter, r *http.Request) { <-held; status(200, `{"ok":true,"result":[]}`)(w, r) })
	g := api.start()
	api.until("the fourth poll", func() bool { return len(api.made("getUpdates")) == 4 })
	if state, detail := g.state(); state != "conflict" || !strings.Contains(detail, told) || g.Stats.Ready() {
		t.Errorf("%s, %q", state, detail)
	}
	close(held)
	api.until("it is ready", func() bool { return g.Stats.Ready() })
	if state, detail := g.state(); state != "ok" || detail != "" || g.Stats.Errors.Load() != 3 {
		t.Errorf("%s, %q, %d errors", state, detail, g.Stats.Errors.Load())
	}
	if len(api.made("deleteWebhook")) != 0 {
		t.Error("a webhook was deleted that nobody spoke of")
	}
}

func TestAWebhookIsDeletedOnce(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	const told = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
	api.refuse("getUpdates", failure(409, told))
	g := api.start()
	api.until("it is ready", func() bool { return g.Stats.Ready() })
	if deleted := len(api.made("deleteWebhook")); deleted != 1 {
		t.Errorf("%d calls of deleteWebhook", deleted)
	}

	stubborn := newBotAPI(t)
	for range 4 {
		stubborn.refuse("getUpdates", failure(409, told))
	}
	g = stubborn.start()
	stubborn.until("it is ready", func() bool { return g.Stats.Ready() })
	if deleted := len(stubborn.made("deleteWebhook")); deleted != 1 {
		t.Errorf("%d calls of deleteWebhook against someone who sets it again", deleted)
	}
}

func TestTheAPIsOwnPauseIsKept(t *testing.T) {
	t.Parallel()
	const flood = `{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 1","parameters":{"retry_after":1}}`
	api := newBotAPI(t)
	api.write(1, "one")
	api.refuse("sendMessage", status(429, flood))
	g := api.start()
	api.until("the first try", func() bool { return len(api.sent()) == 1 })
	start := time.Now()
	api.until("the second try", func() bool { return len(api.sent()) == 2 })
	if took := time.Since(start); took < 900*time.Millisecond || took > 2*time.Second {
		t.Errorf("it waited %v", took)
	}
	api.until("it is counted", func() bool { return g.Stats.Outbound.Load() == 1 })
	if g.Stats.Errors.Load() != 1 {
		t.Error(g.Stats.Errors.Load())
	}
}

func TestAFaultOnTheWayIsNotTakenForTelegramsWord(t *testing.T) {
	t.Parallel()
	const page = "<html><head><title>nginx</title></head></html>"
	for name, give := range map[string]http.HandlerFunc{
		"502 with a page":     status(502, page),
		"401 with a page":     status(401, page), // a captive portal
		"404 with a page":     status(404, page),
		"200 with a page":     status(200, page),
		"200 with no body":    status(200, ""),
		"200 with no result":  status(200, `{"ok":true}`),
		"another JSON":        status(200, `["ok"]`),
		"500 with JSON":       failure(500, "Internal Server Error"),
		"a torn body":         torn,
		"a closed connection": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newBotAPI(t)
			for _, method := range []string{"getMe", "getUpdates", "sendMessage"} {
				api.refuse(method, give)
			}
			api.write(1, "one")
			g := api.start()
			api.until("the reply is counted", func() bool { return g.Stats.Outbound.Load() == 1 })
			if state, detail := g.state(); state != "ok" || strings.Contains(detail, token) {
				t.Errorf("%s, %q", state, detail)
			}
			g.end()
			if sent := api.sent(); len(sent) > 2 {
				t.Errorf("%q", sent)
			}
		})
	}
}

func TestAReplyThatTelegramDoesNotTakeIsLetGo(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	api.refuse("sendMessage", failure(403, "Forbidden: bot was blocked by the user"))
	api.refuse("sendMessage", failure(400, "Bad Request: chat not found"))
	for _, text := range []string{"one", "two", "three"} {
		api.write(1, text)
	}
	g := api.start()
	api.until("the third is counted", func() bool { return g.Stats.Outbound.Load() == 1 })
	g.end()
	if sent := api.sent(); !slices.Equal(sent, []string{"one", "two", "three"}) {
		t.Errorf("%q", sent)
	}
	if g.Stats.Inbound.Load() != 3 || g.Stats.Errors.Load() != 2 || len(api.waiting) != 0 {
		t.Error(g.Stats.Inbound.Load(), g.Stats.Errors.Load(), len(api.waiting))
	}
}

func TestAReplyIsGivenUpInTheEnd(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	for range sendTries {
		api.refuse("sendMessage", failure(500, "Internal Server Error"))
	}
	api.write(1, "unlucky")
	api.write(1, "lucky")
	g := api.start()
	api.until("the second is counted", func() bool { return g.Stats.Outbound.Load() == 1 })
	if sent := api.sent(); len(sent) != sendTries+1 || sent[sendTries] != "lucky" {
		t.Errorf("%q", sent)
	}
}

func TestAServerThatIsNotTelegramsGetsNoToken(t *testing.T) {
	t.Parallel()
	api := newBotAPI(t)
	endpoint, _ := wire.ParseEndpoint(api.server.URL)
	bot := NewBot(endpoint, token, &tls.Config{}) // trusts the system's authorities only
	defer bot.Close()
	_, err := bot.Name()
	if err == nil || strings.Contains(err.Error(), token) || len(api.made("getMe")) != 0 {
		t.Errorf("%v, %d calls", err, len(api.made("getMe")))
	}
}

func TestPausesGrowToAMinuteAndDiffer(t *testing.T) {
	t.Parallel()
	pause := time.Second
	for _, longest := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		longest *= time.Second
		if got := wait(errors.New("x"), &pause); got > longest || got < longest*3/4 {
			t.Errorf("%v, not up to %v", got, longest)
		}
	}
	if got := wait(&Failure{Code: 429, RetryAfter: 7}, &pause); got != 7*time.Second {
		t.Error(got)
	}
}

func TestAReplyFollowsAGroupThatHasMoved(t *testing.T) {
	t.Parallel()
	moved := func(to int) http.HandlerFunc {
		return status(400, fmt.Sprintf(`{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat",
			"parameters":{"migrate_to_chat_id":%d}}`, to))
	}
	for name, c := range map[string]struct {
		answers []http.HandlerFunc
		chats   []int64
		taken   int64
	}{
		"once":         {[]http.HandlerFunc{moved(-1002)}, []int64{-5, -1002}, 1},
		"in a circle":  {[]http.HandlerFunc{moved(-1002), moved(-5)}, []int64{-5, -1002}, 0},
		"to an outage": {[]http.HandlerFunc{moved(-1002), failure(500, "Internal Server Error")}, []int64{-5, -1002, -1002}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newBotAPI(t)
			for _, give := range c.answers {
				api.refuse("sendMessage", give)
			}
			api.put(message(-5, "group", "5", "/ping", ""))
			g := api.start()
			api.until("it is polled on", func() bool { return len(api.made("getUpdates")) == 2 })
			var chats []int64
			for _, made := range api.made("sendMessage") {
				chats = append(chats, made.Chat)
				if answered := made.Reply.Message != 0; answered != (made.Chat == -5) {
					t.Errorf("in chat %d it replies to message %d", made.Chat, made.Reply.Message)
				}
			}
			if !slices.Equal(chats, c.chats) || g.Stats.Outbound.Load() != c.taken {
				t.Errorf("sent to %d, %d taken", chats, g.Stats.Outbound.Load())
			}
		})
	}
}
