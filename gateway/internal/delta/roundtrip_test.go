package delta_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"

	"slimdeploy/gateway/internal/delta"
	"slimdeploy/gateway/internal/delta/maker"
)

func unpacked(t testing.TB, patch []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(patch))
	if err != nil {
		t.Fatal(err)
	}
	steps, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

func applied(old, steps []byte) ([]byte, error) {
	var made bytes.Buffer
	err := delta.Apply(bytes.NewReader(old), int64(len(old)), bytes.NewReader(steps), &made)
	return made.Bytes(), err
}

// patched makes a patch, applies it, and returns its length.
func patched(t testing.TB, old, new []byte) int {
	t.Helper()
	patch, err := maker.Make(old, new)
	if err != nil {
		t.Fatal(err)
	}
	made, err := applied(old, unpacked(t, patch))
	if err != nil || !bytes.Equal(made, new) {
		t.Fatalf("%d bytes were made of %d, not the %d wanted: %v", len(made), len(old), len(new), err)
	}
	return len(patch)
}

func noise(random *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

func joined(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestAPatchMakesTheNewFile(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	a, b, c := noise(random, 40_000), noise(random, 9_001), noise(random, 23)
	for name, pair := range map[string][2][]byte{
		"nothing of nothing":     {nil, nil},
		"nothing of something":   {a, nil},
		"something of nothing":   {nil, a},
		"a byte of a byte":       {{1}, {2}},
		"less than a word":       {{1, 2, 3}, {1, 9, 3}},
		"the same":               {a, a},
		"another":                {a, b},
		"longer":                 {a, joined(a, b)},
		"shorter":                {joined(a, b), a},
		"put before":             {a, joined(c, a)},
		"put between":            {joined(a, b), joined(a, c, b)},
		"taken from between":     {joined(a, c, b), joined(a, b)},
		"taken from the start":   {joined(c, a), a},
		"the other way round":    {joined(a, b), joined(b, a)},
		"twice":                  {a, joined(a, a)},
		"zeros":                  {make([]byte, 30_000), make([]byte, 50_001)},
		"something among zeros":  {make([]byte, 30_000), joined(make([]byte, 15_003), c, make([]byte, 15_000))},
		"changed in the last":    {joined(a, []byte{1, 2}), joined(a, []byte{1, 3})},
		"changed in the first":   {joined([]byte{1}, a), joined([]byte{2}, a)},
		"as long as a buffer":    {a[:4096], joined(a[:4095], []byte{a[4095] + 1})},
		"as long as two buffers": {a[:8192], joined(c, a[:8192-len(c)])},
	} {
		t.Run(name, func(t *testing.T) { patched(t, pair[0], pair[1]) })
	}
}

func TestAPatchMakesTheNewFileWhateverWasEdited(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 150 {
		old := noise(random, random.IntN(20_000))
		new := bytes.Clone(old)
		for range random.IntN(12) {
			at, other := random.IntN(len(new)+1), random.IntN(len(new)+1)
			low, high := min(at, other), max(at, other)
			switch random.IntN(5) {
			case 0:
				new = joined(new[:at], noise(random, random.IntN(100)), new[at:])
			case 1:
				new = joined(new[:low], new[min(high, low+random.IntN(300)):])
			case 2:
				new = joined(new[:high], new[low:min(high, low+2_000)], new[high:])
			case 3:
				for range 30 {
					if len(new) > 0 {
						new[random.IntN(len(new))]++
					}
				}
			case 4:
				new = joined(new[high:], new[low:high], new[:low])
			}
		}
		patched(t, old, new)
	}
}

// addresses is a table whose addresses lie behind something that grew by more, once they are past the middle.
func addresses(n int, grown uint32) (table []byte) {
	random := rand.New(rand.NewPCG(5, 6))
	for address := uint32(0x10000); n > 0; n-- {
		address += 4 * (1 + random.Uint32N(90))
		table = binary.LittleEndian.AppendUint32(table, address+grown)
		table = binary.LittleEndian.AppendUint32(table, random.Uint32())
	}
	return table
}

func TestAddressesThatMovedTakeLittle(t *testing.T) {
	const entries = 4_000
	if n := patched(t, addresses(entries, 0), addresses(entries, 0x1A4)); n > entries/20 {
		t.Errorf("%d entries took %d bytes", entries, n)
	}
	// The table itself has moved too.
	if n := patched(t, addresses(entries, 0), joined(make([]byte, 24), addresses(entries, 0x1A4))); n > entries/20 {
		t.Errorf("%d entries elsewhere took %d bytes", entries, n)
	}
}

func TestWhatIsTheSameTakesNextToNothing(t *testing.T) {
	a := noise(rand.New(rand.NewPCG(7, 8)), 100_000)
	if n := patched(t, a, a); n > 60 {
		t.Errorf("%d bytes", n)
	}
	if n := patched(t, a, joined(a[50_000:], a[:50_000])); n > 80 {
		t.Errorf("%d bytes for two halves that changed places", n)
	}
}

func TestAPatchIsTheSameEachTime(t *testing.T) {
	old, new := addresses(3_000, 0), addresses(2_900, 12)
	first, err := maker.Make(old, new)
	if err != nil {
		t.Fatal(err)
	}
	if second, _ := maker.Make(old, new); !bytes.Equal(first, second) {
		t.Error("two patches for the same files differ")
	}
}

// What a board can read does not change without another number in the magic.
func TestTheFormat(t *testing.T) {
	old := []byte("0123456789")
	steps := "pdelta1\n" +
		"\x0A\x0F" + // 10 and 15 bytes
		"\x02\x02" + // 01 as they are; 1 is added to 2345
		"\x01\x00\x05\x03abc" + // 6 as it is, no change, 3 bytes back in old, abc
		"\x01\x01" // 4 as it is; 1 is taken from 5678
	made, err := applied(old, []byte(steps))
	if err != nil || string(made) != "0133456abc44678" {
		t.Errorf("%q, %v", made, err)
	}
}
