package main

import (
	"debug/buildinfo"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// called carries out one command in this process.
func called(t *testing.T, arguments ...string) (code int, stdout, stderr string) {
	t.Helper()
	files := make([]*os.File, 2)
	for i := range files {
		file, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		files[i] = file
	}
	out, err := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = files[0], files[1]
	code = run(arguments)
	os.Stdout, os.Stderr = out, err
	texts := make([]string, 2)
	for i, file := range files {
		file.Seek(0, io.SeekStart)
		text, err := io.ReadAll(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	return code, texts[0], texts[1]
}

func TestWrongUsageIsSaidInOneLine(t *testing.T) {
	for line, wanted := range map[string]string{
		"fly":                         "there is no command fly",
		"gateway --json":              "gateway takes no --json",
		"gateway --config":            "--config takes a file",
		"gateway --config=":           "there is no flag --config=",
		"status now":                  "there is no flag now",
		"status --jsonx":              "there is no flag --jsonx",
		"version --config x --json -": "there is no flag -",
	} {
		code, stdout, stderr := called(t, strings.Fields(line)...)
		if code != exitUsage || stdout != "" || stderr != "picoclaw: "+wanted+"; picoclaw help lists what there is\n" {
			t.Errorf("%q: %d, %q, %q", line, code, stdout, stderr)
		}
	}
}

func TestHelpIsToldWhereItIsAskedFor(t *testing.T) {
	for _, word := range []string{"help", "--help", "-h"} {
		if code, stdout, stderr := called(t, word); code != exitOK || stdout != usage || stderr != "" {
			t.Errorf("%s: %d, %q, %q", word, code, stdout, stderr)
		}
	}
	if code, stdout, stderr := called(t); code != exitUsage || stdout != "" || stderr != usage {
		t.Errorf("no command: %d, %q, %q", code, stdout, stderr)
	}
}

func TestTheVersionIsTold(t *testing.T) {
	code, stdout, _ := called(t, "version")
	tags := builtWith(t)
	if wanted := "picoclaw dev (" + runtime.Version() + ", " + target() + ", tags " + tags + ")\n"; code != exitOK || stdout != wanted {
		t.Errorf("%d, %q, not %q", code, stdout, wanted)
	}
	code, stdout, _ = called(t, "--version", "--json")
	var document map[string]string
	if err := json.Unmarshal([]byte(stdout), &document); err != nil || code != exitOK || document["go"] != runtime.Version() || document["tags"] != tags {
		t.Errorf("%d, %q, %v", code, stdout, err)
	}
}

// builtWith is the tags that this test was built with, as the go tool reads them from its own file; "none" for none.
func builtWith(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	for _, setting := range info.Settings {
		if setting.Key == "-tags" {
			return setting.Value
		}
	}
	return "none"
}

func TestAConfigThatIsMissingOrBrokenIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	for _, command := range []string{"gateway", "status"} {
		if code, _, stderr := called(t, command, "--config", path); code != exitConfig || !strings.Contains(stderr, path) {
			t.Errorf("%s without a config: %d, %q", command, code, stderr)
		}
	}
	if err := os.WriteFile(path, []byte("{\n  \"gateway\": 7\n}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"gateway", "status"} {
		code, _, stderr := called(t, command, "--config="+path)
		if wanted := "picoclaw: " + path + ": line 2, column 14: gateway: an object in { } is expected\n"; code != exitConfig || stderr != wanted {
			t.Errorf("%s with a broken config: %d, %q", command, code, stderr)
		}
	}
}
