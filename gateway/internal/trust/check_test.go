package trust

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestAFileIsCheckedForACertificate(t *testing.T) {
	folder := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	broken := "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
	for name, content := range map[string][]byte{
		"one":                 text(root(t, "A")),
		"after a broken one":  append([]byte(broken), text(root(t, "A"))...),
		"before a broken one": append(text(root(t, "A")), broken...),
	} {
		if err := CheckFile(file(name, content)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, content := range map[string]string{"empty": "", "broken": broken, "a key": "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"} {
		path := file(name, []byte(content))
		if err := CheckFile(path); err == nil || !strings.Contains(err.Error(), path+" holds no certificate") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := CheckFile(filepath.Join(folder, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestAFileIsCheckedWithoutReadingAllOfIt(t *testing.T) {
	many := text(root(t, "A"))
	for range 8 {
		many = append(many, many...)
	}
	path := filepath.Join(t.TempDir(), "many")
	if err := os.WriteFile(path, many, 0o600); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := CheckFile(path); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if spent := after.TotalAlloc - before.TotalAlloc; spent > uint64(len(many)/4) {
		t.Errorf("%d bytes were allocated for a file of %d", spent, len(many))
	}
}
