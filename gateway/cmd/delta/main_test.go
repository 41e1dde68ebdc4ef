package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"slimdeploy/gateway/internal/delta/maker"
)

// The gateway is built five times for each; a target for which Go's library is not compiled yet takes half a minute.
var targets = flag.String("targets", "linux/riscv64", "what the gateway is built for, comma-separated: GOOS/GOARCH[/GOARM or GOMIPS]")

// tree is a copy of the module with edits made in it.
func tree(t *testing.T, edits map[string][2]string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS("../..")); err != nil {
		t.Fatal(err)
	}
	for name, edit := range edits {
		path := filepath.Join(root, name)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(text), edit[0]) != 1 {
			t.Fatalf("%s is not in %s once: the test is to be written anew", edit[0], name)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(text), edit[0], edit[1], 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// built is the gateway of a tree, as slimdeploy builds it.
func built(t *testing.T, root, target, version string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "picoclaw")
	build := exec.Command("go", "build", "-tags", "telegram,smallbuf", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X main.version="+version, "-o", path, "./cmd/picoclaw")
	build.Dir = root
	system, processor, _ := strings.Cut(target, "/")
	processor, variant, _ := strings.Cut(processor, "/")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+processor, "GOARM=", "GOMIPS=")
	if variant != "" {
		build.Env = append(build.Env, map[string]string{"arm": "GOARM=", "mips": "GOMIPS=", "mipsle": "GOMIPS="}[processor]+variant)
	}
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func zipped(t *testing.T, program []byte) int {
	t.Helper()
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, 6)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(program)
	w.Close()
	return packed.Len()
}

func TestAnUpdateOfTheGatewayTakesAFewHundredths(t *testing.T) {
	before := tree(t, nil)
	text := tree(t, map[string][2]string{
		"cmd/picoclaw/gateway.go": {`"the gateway does not start"`, `"the gateway does not start with these settings"`},
	})
	function := tree(t, map[string][2]string{
		"internal/telegram/texts.go": {"// kept is", `//go:noinline
func vowels(text string) (n int) {
	for _, c := range text {
		switch c {
		case 'a', 'e', 'i', 'o', 'u':
			n++
		}
	}
	return n
}

// kept is`},
		"internal/telegram/access.go": {"\tif len(a) == 0 {", "\tif vowels(m.Username) == 77 {\n\t\treturn false\n\t}\n\tif len(a) == 0 {"},
	})
	for target := range strings.SplitSeq(*targets+","+runtime.GOOS+"/"+runtime.GOARCH, ",") {
		t.Run(target, func(t *testing.T) {
			old := built(t, before, target, "0.1.0+1")
			for _, update := range []struct {
				name, root, version string
				percent             float64 // at most, of the program as gzip -6 makes it
			}{
				{"a text", text, "0.1.0+2", 1.5},
				{"a function", function, "0.1.0+2", 3}, // its length moves all that lies behind it
				{"a version", before, "0.1.0+2", 0.1},
				{"a longer version", before, "0.1.0-rc.1+2", 1},
			} {
				new := built(t, update.root, target, update.version)
				patch, err := maker.Make(old, new)
				if err != nil {
					t.Fatal(err)
				}
				if err := prove(old, new, patch); err != nil {
					t.Fatal(err)
				}
				whole := zipped(t, new)
				percent := 100 * float64(len(patch)) / float64(whole)
				t.Logf("%s: %d bytes, %.2f %% of %d", update.name, len(patch), percent, whole)
				if percent > update.percent || bytes.Equal(old, new) {
					t.Errorf("%s takes %.2f %%", update.name, percent)
				}
			}
		})
	}
}

func files(t *testing.T, contents ...string) (paths []string) {
	t.Helper()
	for _, content := range contents {
		file, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		file.WriteString(content)
		file.Close()
		paths = append(paths, file.Name())
	}
	return paths
}

func TestThePatchIsWrittenAndItsSizeTold(t *testing.T) {
	old, new := strings.Repeat("once upon a time", 99), strings.Repeat("once upon a time", 99)+" there was"
	paths := files(t, old, new)
	var out, told bytes.Buffer
	if err := run(paths[0], paths[1], &out, &told); err != nil {
		t.Fatal(err)
	}
	if err := prove([]byte(old), []byte(new), out.Bytes()); err != nil {
		t.Error(err)
	}
	if told.String() != "old 1584 bytes, new 1594 bytes, patch "+strconv.Itoa(out.Len())+" bytes\n" {
		t.Errorf("%q", told.String())
	}
}

func TestAPatchThatMakesAnotherFileIsNotBelieved(t *testing.T) {
	patch, err := maker.Make([]byte("old"), []byte("new"))
	if err != nil {
		t.Fatal(err)
	}
	if err := prove([]byte("old"), []byte("neu"), patch); err != errDiffers {
		t.Error(err)
	}
}

var errFull = errors.New("no space is left")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWhatCanNotBeReadOrWrittenIsAFault(t *testing.T) {
	paths := append(files(t, "old", "new"), filepath.Join(t.TempDir(), "missing"))
	for _, pair := range [][2]int{{0, 2}, {2, 1}} {
		if err := run(paths[pair[0]], paths[pair[1]], io.Discard, io.Discard); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v: %v", pair, err)
		}
	}
	if err := run(paths[0], paths[1], full{}, io.Discard); err != errFull {
		t.Error(err)
	}
}
