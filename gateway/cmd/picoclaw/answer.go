//go:build !nohealth

package main

import (
	"bufio"
	"bytes"
	"strconv"
	"time"

	"slimdeploy/gateway/internal/jsonstream"
)

// answer is what a gateway says of itself on /ready (docs/gateway.md, "Health"). A figure that it does not tell is -1.
type answer struct {
	status, version                              string
	pid, uptime                                  int64 // uptime in seconds
	inbound, outbound, refused, errors, rss, hwm int64
	state, detail, tls, cipher                   string
	lastOK                                       int64 // seconds ago
}

// parseAnswer reads the document; errStranger where no gateway made it.
func parseAnswer(document []byte) (answer, error) {
	a := answer{pid: -1, uptime: -1, rss: -1, hwm: -1, lastOK: -1}
	r := jsonstream.NewReader(bufio.NewReader(bytes.NewReader(document)))
	text := func(to *string) (err error) {
		*to, err = r.String(maxStatus)
		return err
	}
	number := func(to *int64) (err error) {
		*to, err = r.Int64()
		return err
	}
	err := r.Object(func(key []byte) error {
		switch string(key) {
		case "status":
			return text(&a.status)
		case "version":
			return text(&a.version)
		case "pid":
			return number(&a.pid)
		case "uptime_s":
			return number(&a.uptime)
		case "inbound":
			return number(&a.inbound)
		case "outbound":
			return number(&a.outbound)
		case "refused":
			return number(&a.refused)
		case "errors":
			return number(&a.errors)
		case "rss_kib":
			return number(&a.rss)
		case "hwm_kib":
			return number(&a.hwm)
		case "telegram":
			return r.Object(func(key []byte) error {
				switch string(key) {
				case "state":
					return text(&a.state)
				case "detail":
					return text(&a.detail)
				case "tls_version":
					return text(&a.tls)
				case "tls_cipher":
					return text(&a.cipher)
				case "last_ok_s":
					return number(&a.lastOK)
				}
				return r.Skip()
			})
		}
		return r.Skip()
	})
	if err == nil {
		err = r.End()
	}
	if err != nil || a.status == "" || a.version == "" || a.pid < 0 || a.uptime < 0 || a.state == "" {
		return answer{}, errStranger
	}
	return a, nil
}

// appendText appends the answer for people: a sentence, and what was counted since when.
func (a *answer) appendText(to []byte, now time.Time) []byte {
	sentence := "picoclaw " + a.version + " runs (process " + strconv.FormatInt(a.pid, 10) + ") "
	if a.status == "ok" {
		sentence += "and is ready: Telegram answered " + strconv.FormatInt(max(a.lastOK, 0), 10) + " s ago"
	} else {
		sentence += "but is not ready: Telegram " + a.trouble()
	}
	to = append(append(to, printable(sentence)...), '\n')
	up := time.Duration(a.uptime) * time.Second
	to = appendLine(to, "since", now.Add(-up).UTC().Format("2006-01-02T15:04:05Z")+", for "+up.String())
	for _, figure := range [...]struct {
		name, unit string
		value      int64
	}{
		{"received", "", a.inbound},
		{"answered", "", a.outbound},
		{"refused", "", a.refused},
		{"errors", "", a.errors},
		{"VmRSS", " KiB", a.rss},
		{"VmHWM", " KiB", a.hwm},
	} {
		if figure.value >= 0 {
			to = appendLine(to, figure.name, strconv.FormatInt(figure.value, 10)+figure.unit)
		}
	}
	if a.tls != "" {
		to = appendLine(to, "TLS", a.tls+" "+a.cipher)
	}
	return to
}

func appendLine(to []byte, name, value string) []byte {
	to = append(append(to, name...), "          "[:10-len(name)]...)
	return append(append(to, printable(value)...), '\n')
}

// trouble is why it is not ready, as a clause about Telegram.
func (a *answer) trouble() string {
	clause := "can't be reached"
	switch a.state {
	case "connecting":
		clause = "has not answered yet"
	case "unauthorized":
		clause = "refuses the token"
	case "conflict":
		clause = "gives the messages to another gateway, or to a webhook"
	}
	if a.detail != "" {
		clause += " (" + a.detail + ")"
	}
	return clause
}

// printable keeps what a stranger may have written from moving the cursor.
func printable(text string) string {
	for _, c := range text {
		if c < ' ' || c == 0x7F || (0x80 <= c && c < 0xA0) {
			quoted := strconv.QuoteToASCII(text)
			return quoted[1 : len(quoted)-1]
		}
	}
	return text
}
