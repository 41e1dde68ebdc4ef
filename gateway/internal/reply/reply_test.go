package reply

import "testing"

func TestCommandsAreAnsweredAndTheRestIsSentBack(t *testing.T) {
	for text, wanted := range map[string]string{
		"/ping":             "pong",
		"/ping@slim_bot":    "pong",
		"/ping are you on":  "pong",
		"/start":            Help,
		"/start payload":    Help,
		"/help@slim_bot x":  Help,
		"/pingpong":         "/pingpong",
		"/Ping":             "/Ping",
		"ping":              "ping",
		" /ping":            " /ping",
		"a@b.example /ping": "a@b.example /ping",
		"🙂\n":               "🙂\n",
		"":                  "",
	} {
		if got := To(text); got != wanted {
			t.Errorf("%q is answered with %q", text, got)
		}
	}
}
