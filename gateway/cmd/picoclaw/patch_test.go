package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// patched runs patch, with steps as standard input.
func patched(t *testing.T, steps string, arguments ...string) (code int, stdout, stderr string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "steps")
	if err := os.WriteFile(path, []byte(steps), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	in := os.Stdin
	os.Stdin = file
	defer func() { os.Stdin = in }()
	return called(t, append([]string{"patch"}, arguments...)...)
}

func TestAPatchFromStandardInputMakesTheNewFile(t *testing.T) {
	old := filepath.Join(t.TempDir(), "old")
	if err := os.WriteFile(old, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	// 2 bytes as they are, 1 added to 2345, 4 bytes as they are, nothing skipped, "abc".
	const steps = "pdelta1\n\x0A\x0D\x02\x02\x04\x00\x00\x03abc"
	if code, stdout, stderr := patched(t, steps, old); code != exitOK || stdout != "0133456789abc" || stderr != "" {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
	const wanted = "picoclaw: the patch is damaged, cut short or for another file\n"
	for name, bad := range map[string]string{
		"nothing": "", "cut short": steps[:len(steps)-1], "too long": steps + "d",
		"another format": strings.Replace(steps, "1", "2", 1), "another file": strings.Replace(steps, "\x0A\x0D", "\x0B\x0D", 1),
	} {
		if code, _, stderr := patched(t, bad, old); code != exitData || stderr != wanted {
			t.Errorf("%s: %d, %q", name, code, stderr)
		}
	}
}

func TestAPatchWithoutItsFileIsAFault(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	if code, stdout, stderr := patched(t, "", missing); code != exitFault || stdout != "" || !strings.Contains(stderr, missing) {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
	for _, line := range [][]string{nil, {"one", "two"}} {
		if code, stdout, stderr := patched(t, "", line...); code != exitUsage || stdout != "" || !strings.Contains(stderr, "patch takes one file") {
			t.Errorf("%q: %d, %q, %q", line, code, stdout, stderr)
		}
	}
}
