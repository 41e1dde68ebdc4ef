package simulated

import (
	"strconv"

	"slimdeploy/gateway/internal/jsonstream"
)

// Report is written member by member: as lines of key=value, or as one JSON object.
type Report struct {
	JSON bool
	text []byte
}

func (r *Report) key(name string) {
	switch {
	case !r.JSON:
		r.text = append(append(r.text, name...), '=')
		return
	case len(r.text) == 0:
		r.text = append(r.text, '{')
	default:
		r.text = append(r.text, ',')
	}
	r.text = append(jsonstream.AppendString(r.text, name), ':')
}

func (r *Report) end() {
	if !r.JSON {
		r.text = append(r.text, '\n')
	}
}

// Number adds a whole number.
func (r *Report) Number(name string, value int64) {
	r.key(name)
	r.text = strconv.AppendInt(r.text, value, 10)
	r.end()
}

// Decimal adds a number with digits after its point.
func (r *Report) Decimal(name string, value float64, digits int) {
	r.key(name)
	r.text = strconv.AppendFloat(r.text, value, 'f', digits, 64)
	r.end()
}

// Text adds a text.
func (r *Report) Text(name, value string) {
	r.key(name)
	if r.JSON {
		r.text = jsonstream.AppendString(r.text, value)
	} else {
		r.text = append(r.text, value...)
	}
	r.end()
}

// Raw adds what is JSON already.
func (r *Report) Raw(name string, value []byte) {
	r.key(name)
	r.text = append(r.text, value...)
	r.end()
}

// Bytes is the whole.
func (r *Report) Bytes() []byte {
	if r.JSON {
		return append(r.text, "}\n"...)
	}
	return r.text
}

// Add adds what became of a burst. What was allocated is told for each update, whatever it deserved.
func (b *Burst) Add(r *Report) {
	r.Number("updates", b.Updates)
	r.Number("produced", b.Produced)
	r.Number("consumed", b.Consumed)
	r.Number("answered", b.Answered)
	r.Number("wrong", b.Wrong)
	r.Number("errors", b.Errors)
	messages := float64(max(b.Updates, 1))
	r.Decimal("allocations_per_message", float64(b.Mallocs)/messages, 2)
	r.Decimal("bytes_per_message", float64(b.Bytes)/messages, 1)
	r.Number("took_us", b.Took.Microseconds())
}

// ParseBurst reads how many updates a burst has.
func ParseBurst(text string) (n int, problem string) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > mostBurst {
		return 0, "a burst has 1 to " + strconv.Itoa(mostBurst) + " messages, not " + strconv.Quote(text)
	}
	return n, ""
}

const (
	mostBurst = 10_000_000
	// UsualBurst is how many messages a burst has where nobody says.
	UsualBurst = 1000
)
