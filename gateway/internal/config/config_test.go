package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const token = "12345:abcdefghijklmnopqrstuvwxyzABCDEFGHI"

func TestAFullPicoclawConfigIsUsedAsItIs(t *testing.T) {
	config, err := Parse([]byte("\xEF\xBB\xBF" + `{
		"agents": {"defaults": {"workspace": "~/w", "model": "x", "max_tokens": 8192, "temperature": 0.7}},
		"providers": {"anthropic": {"api_key": ""}, "openai": {"api_key": "sk", "api_base": ""}},
		"channels": {"telegram": {"enabled": true, "token": "` + token + `", "allow_from": [1]}, "discord": {}},
		"gateway": {"host": "0.0.0.0", "port": 18790}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	if !config.Telegram.Enabled || config.Telegram.Token != token || config.Health != (Health{"0.0.0.0", 18790}) {
		t.Errorf("%+v", config)
	}
	if config.Telegram.Endpoint.Host != "api.telegram.org" || !config.Telegram.Endpoint.TLS {
		t.Errorf("%+v", config.Telegram.Endpoint)
	}
	if got := strings.Join(config.Ignored, " "); got != "agents.defaults.workspace providers.anthropic channels.discord" {
		t.Errorf("ignored %q", got)
	}
}

func TestAnswersComeFromEchoUnlessAProviderIsNamed(t *testing.T) {
	plain, err := Parse([]byte(`{}`))
	if err != nil || plain.Answers.Provider != "echo" || plain.Answers.Turns != 6 || plain.Answers.Endpoint.Host != "api.openai.com" {
		t.Fatal(plain, err)
	}
	config, err := Parse([]byte(`{"agents":{"defaults":{"provider":"openai","model":"m","system_prompt":"be brief","temperature":0.5,
		"max_tokens":99,"max_history":0}},"providers":{"openai":{"api_base":"http://127.0.0.1:1234/v1","api_key_file":"/k","ca_file":"/c"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	a := config.Answers
	if a.Provider != "openai" || a.Model != "m" || a.System != "be brief" || a.Temperature != "0.5" || a.MaxTokens != 99 || a.Turns != 0 ||
		a.Endpoint.Prefix != "/v1" || a.Endpoint.TLS || a.KeyFile != "/k" || a.CAFile != "/c" {
		t.Errorf("%+v", a)
	}
	for text, wanted := range map[string]string{
		`{"agents":{"defaults":{"provider":"zhipu"}}}`:   "agents.defaults.provider: this gateway knows echo and openai only",
		`{"agents":{"defaults":{"max_tokens":-1}}}`:      "it has to lie between 0 and",
		`{"agents":{"defaults":{"temperature":"warm"}}}`: "a number is expected",
		`{"providers":{"openai":{"api_base":"x.org"}}}`:  "providers.openai.api_base: it has to begin with https://",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), wanted) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestWhoIsLetInIsAListOfNumbersAndNames(t *testing.T) {
	config, err := Parse([]byte(`{"channels":{"telegram":{"allow_from":[123, "456", "@ann", " bob "]}}}`))
	if err != nil || strings.Join(config.Telegram.AllowFrom, " ") != "123 456 @ann bob" {
		t.Fatal(config, err)
	}
	for text, wanted := range map[string]string{
		`{"channels":{"telegram":{"allow_from":"ann"}}}`:      "an array in [ ] is expected",
		`{"channels":{"telegram":{"proxy":"socks5://p"}}}`:    "a proxy begins with http://",
		`{"channels":{"telegram":{"allow_from":[true]}}}`:     "an id or a username is expected",
		`{"channels":{"telegram":{"allow_from":["ann",""]}}}`: "would let nobody in",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), wanted) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestNullIsAsGoodAsNothing(t *testing.T) {
	config, err := Parse([]byte(`{"channels":{"telegram":{"enabled":true,"token":"t","token_file":null,"allow_from":null,"proxy":null,"base_url":null}},
		"agents":null,"providers":{"openai":{"api_base":null,"proxy":null}},"gateway":{"host":null,"port":null}}`))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := Parse([]byte(`{"channels":{"telegram":{"enabled":true,"token":"t"}}}`))
	if err != nil || !reflect.DeepEqual(config, plain) {
		t.Errorf("%+v instead of %+v, %v", config, plain, err)
	}
	if _, err := Parse([]byte(`{"gateway":nul}`)); err == nil || !strings.Contains(err.Error(), "gateway: null is expected") {
		t.Error(err)
	}
}

func TestAFileWithoutAnEndIsNoSecret(t *testing.T) {
	for _, path := range []string{"/dev/zero", t.TempDir()} {
		if _, _, err := Secret("", path); err == nil {
			t.Errorf("%s holds a secret", path)
		}
	}
}

func TestASecretMayComeFromAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	secret, warning, err := Secret("", path)
	if secret != token || err != nil || !strings.Contains(warning, "chmod 600") {
		t.Error(secret, warning, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, warning, _ = Secret("", path); warning != "" {
		t.Error(warning)
	}
	if secret, _, _ := Secret("own", path); secret != "own" {
		t.Error(secret)
	}
	if _, _, err := Secret("", path+"x"); err == nil {
		t.Error("a file that is not there gave a secret")
	}
}

func TestAFaultSaysLineColumnAndKey(t *testing.T) {
	for text, wanted := range map[string]string{
		"{\n  \"gateway\": {\"port\": \"80\"}\n}":             "line 2, column 23: gateway.port: a number is expected",
		`{"gateway": {"port": 70000}}`:                        "gateway.port: a port lies between 1 and 65535, 70000 does not",
		`{"channels": {"telegram": {"enabled": "yes"}}}`:      "channels.telegram.enabled: true or false is expected",
		`{"channels": {"telegram": {"base_url": "ftp://x"}}}`: "channels.telegram.base_url: it has to begin with https://",
		`{"channels": []}`:                                    "channels: an object in { } is expected",
		`{"gateway": {}, "gateway": {}}`:                      "gateway stands twice",
		`{"gateway": {"port": 1}`:                             "ends too early",
		`{} x`:                                                "after the end of the document",
		"":                                                    "ends too early",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), wanted) {
			t.Errorf("%q: %v, not %q", text, err, wanted)
		}
	}
}

func TestTheTokenIsHeldAgainstItsForm(t *testing.T) {
	if fault := TokenFault(token); fault != "" {
		t.Error(fault)
	}
	for _, bad := range []string{"", "abc", ":", "123:", token + "x", "x" + token, strings.Replace(token, "a", "/", 1), token + "\n"} {
		fault := TokenFault(bad)
		if fault == "" || (len(bad) > 5 && strings.Contains(fault, bad)) {
			t.Errorf("%q: %q", bad, fault)
		}
	}
}

func TestThePathComesFromFlagThenHome(t *testing.T) {
	t.Setenv("PICOCLAW_HOME", "/etc/pico")
	if path, _ := Path(""); path != "/etc/pico/config.json" {
		t.Error(path)
	}
	if path, _ := Path("/x.json"); path != "/x.json" {
		t.Error(path)
	}
	t.Setenv("PICOCLAW_HOME", "")
	t.Setenv("HOME", "/home/maker")
	if path, _ := Path(""); path != "/home/maker/.picoclaw/config.json" {
		t.Error(path)
	}
}

func TestAFileThatIsMissingOrTooLargeIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if err := os.WriteFile(path, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"channels":{"telegram":{"enabled":true,"token":"1:a","base_url":"https://[::1]:8443/x"}},"gateway":{"port":1}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		config, err := Parse(text)
		if (config == nil) == (err == nil) {
			t.Fatalf("%v %v", config, err)
		}
		if err == nil && (config.Health.Port < 1 || config.Health.Port > 65535) {
			t.Fatal(config.Health.Port)
		}
	})
}
