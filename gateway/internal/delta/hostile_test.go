package delta_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"testing"
	"testing/iotest"

	"slimdeploy/gateway/internal/delta"
	"slimdeploy/gateway/internal/delta/maker"
)

func head(old, new uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint([]byte(delta.Magic), old), new)
}

func step(to []byte, gap uint64, change, skip int64, literal uint64, text string) []byte {
	to = binary.AppendUvarint(to, gap)
	to = binary.AppendVarint(to, change)
	if change != 0 {
		return to
	}
	to = binary.AppendVarint(to, skip)
	return append(binary.AppendUvarint(to, literal), text...)
}

func TestABadPatchIsRefused(t *testing.T) {
	old := []byte("0123456789")
	for name, steps := range map[string][]byte{
		"none":                       nil,
		"another format":             []byte("pdelta2\n\x0A\x00"),
		"for a longer file":          head(11, 0),
		"for a shorter file":         head(9, 0),
		"no steps":                   head(10, 5),
		"more follows":               append(head(10, 0), 0),
		"more than old has":          step(head(10, 20), 11, 0, 0, 9, "012345678"),
		"more than new has":          step(head(10, 5), 6, 0, 0, 0, ""),
		"a change behind old":        step(head(10, 20), 7, 1, 0, 0, ""),
		"a change behind new":        step(head(10, 9), 6, 1, 0, 0, ""),
		"a literal behind new":       step(head(10, 5), 3, 0, 0, 3, "abc"),
		"a literal cut short":        step(head(10, 9), 3, 0, 0, 6, "abc"),
		"before old":                 step(step(head(10, 5), 0, 0, -1, 0, ""), 5, 0, 0, 0, ""),
		"far before old":             step(step(head(10, 5), 0, 0, math.MinInt32, 0, ""), 5, 0, 0, 0, ""),
		"behind old":                 step(step(head(10, 5), 0, 0, 10, 0, ""), 5, 0, 0, 0, ""),
		"far behind old":             step(step(head(10, 5), 0, 0, math.MaxInt32, 0, ""), 5, 0, 0, 0, ""),
		"a number of six bytes":      append(head(10, 5), 0x80, 0x80, 0x80, 0x80, 0x80, 0),
		"a length of six bytes":      append([]byte(delta.Magic), 0x8A, 0x80, 0x80, 0x80, 0x80, 0),
		"the largest numbers":        append(head(10, 1<<35-1), bytes.Repeat([]byte("\xFF\xFF\xFF\xFF\x7F"), 400)...),
		"steps that make nothing":    append(head(10, 5), make([]byte, 4_000)...),
		"the magic only":             []byte(delta.Magic),
		"a start of the magic":       []byte(delta.Magic[:5]),
		"an end of the magic":        []byte(delta.Magic[5:]),
		"not unpacked":               []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"),
		"a change and then no more":  step(head(10, 5), 0, 1, 0, 0, ""),
		"nothing behind what is new": step(step(head(10, 5), 5, 0, 0, 0, ""), 0, 0, 0, 0, ""),
	} {
		t.Run(name, func(t *testing.T) {
			if made, err := applied(old, steps); err != delta.ErrPatch {
				t.Errorf("%q, %v", made, err)
			}
		})
	}
}

func example() (old, new []byte) {
	return addresses(700, 0), joined([]byte("something before"), addresses(400, 16), []byte("between"), addresses(300, 400))
}

func TestAPatchThatIsCutShortIsRefused(t *testing.T) {
	old, new := example()
	patch, err := maker.Make(old, new)
	if err != nil {
		t.Fatal(err)
	}
	steps := unpacked(t, patch)
	for n := range steps {
		if _, err := applied(old, steps[:n]); err != delta.ErrPatch {
			t.Fatalf("%d of %d bytes: %v", n, len(steps), err)
		}
	}
}

func TestADamagedPatchMakesNoMoreThanItNames(t *testing.T) {
	old, new := example()
	patch, err := maker.Make(old, new)
	if err != nil {
		t.Fatal(err)
	}
	steps := unpacked(t, patch)
	lengths := len(head(uint64(len(old)), uint64(len(new))))
	for at := lengths; at < len(steps); at++ {
		for _, bit := range [...]int{at % 7, 7} { // one of the value's, and what says that more follows
			steps[at] ^= 1 << bit
			if made, err := applied(old, steps); len(made) > len(new) || (err != nil && err != delta.ErrPatch) {
				t.Fatalf("bit %d of byte %d: %d bytes, %v", bit, at, len(made), err)
			}
			steps[at] ^= 1 << bit
		}
	}
}

var errFile = errors.New("the file is gone")

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, errFile }
func (broken) Write([]byte) (int, error)         { return 0, errFile }

func TestAFileAtFaultIsNotThePatchs(t *testing.T) {
	old, new := example()
	patch, err := maker.Make(old, new)
	if err != nil {
		t.Fatal(err)
	}
	steps := unpacked(t, patch)
	length := int64(len(old))
	for name, err := range map[string]error{
		"old":   delta.Apply(broken{}, length, bytes.NewReader(steps), io.Discard),
		"new":   delta.Apply(bytes.NewReader(old), length, bytes.NewReader(steps), broken{}),
		"patch": delta.Apply(bytes.NewReader(old), length, iotest.ErrReader(errFile), io.Discard),
		"patch, later": delta.Apply(bytes.NewReader(old), length,
			io.MultiReader(bytes.NewReader(steps[:40]), iotest.ErrReader(errFile)), io.Discard),
		"patch, behind its end": delta.Apply(bytes.NewReader(old), length,
			io.MultiReader(bytes.NewReader(steps), iotest.ErrReader(errFile)), io.Discard),
	} {
		if err != errFile {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPatchThatComesSlowlyIsWaitedFor(t *testing.T) {
	old, new := example()
	patch, err := maker.Make(old, new)
	if err != nil {
		t.Fatal(err)
	}
	var made bytes.Buffer
	slow := iotest.OneByteReader(bytes.NewReader(unpacked(t, patch)))
	if err := delta.Apply(bytes.NewReader(old), int64(len(old)), slow, &made); err != nil || !bytes.Equal(made.Bytes(), new) {
		t.Errorf("%d bytes, %v", made.Len(), err)
	}
}

// small is a pair that a fuzzer gets somewhere with.
func small() (old, new []byte) {
	return addresses(8, 0), joined(addresses(3, 8), []byte("between"), addresses(5, 16)[24:])
}

func FuzzApply(f *testing.F) {
	old, new := small()
	patch, err := maker.Make(old, new)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(old, unpacked(f, patch))
	f.Add([]byte("0123456789"), step(step(head(10, 9), 5, 0, -2, 1, "a"), 3, 0, 0, 0, ""))
	f.Fuzz(func(t *testing.T, old, steps []byte) {
		_, n := binary.Uvarint(steps[min(len(delta.Magic), len(steps)):])
		named := uint64(0)
		if n > 0 {
			named, _ = binary.Uvarint(steps[len(delta.Magic)+n:])
		}
		if named > 1<<20 {
			t.Skip("it would only take long")
		}
		made, err := applied(old, steps)
		if uint64(len(made)) > named {
			t.Errorf("%d bytes where the patch names %d", len(made), named)
		}
		if err == nil && uint64(len(made)) != named {
			t.Errorf("%d bytes without an error where the patch names %d", len(made), named)
		}
		if err != nil && err != delta.ErrPatch {
			t.Error(err)
		}
	})
}

func FuzzMake(f *testing.F) {
	old, new := small()
	f.Add(old, new)
	f.Add([]byte("0123456789"), []byte("0133456789"))
	f.Fuzz(func(t *testing.T, old, new []byte) { patched(t, old, new) })
}
