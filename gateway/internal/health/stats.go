// Package health counts what the gateway does and tells it over HTTP on the board itself.
package health

import (
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"slimdeploy/gateway/internal/jsonstream"
	"slimdeploy/gateway/internal/procmem"
)

// Stats is what the gateway knows of itself. The counters count since its start.
type Stats struct {
	Version string
	// ReadyFor is how long an answer of the Bot API makes the gateway ready.
	ReadyFor time.Duration

	Inbound  atomic.Int64 // text messages of users, as getUpdates brought them
	Outbound atomic.Int64 // replies that the Bot API accepted
	Refused  atomic.Int64 // text messages of users who are not let in
	Errors   atomic.Int64 // calls that failed

	started time.Time

	mu      sync.Mutex
	state   string
	detail  string
	lastOK  time.Time
	tls     string
	cipher  string
	nowFunc func() time.Time // for tests; nil means time.Now

	collections uint32        // of garbage, when gcTime was told
	gcTime      time.Duration // CPU time that they took
}

// NewStats starts counting; the gateway is "connecting" until the Bot API has answered.
func NewStats(version string, readyFor time.Duration) *Stats {
	return &Stats{Version: version, ReadyFor: readyFor, started: time.Now(), state: "connecting"}
}

func (s *Stats) now() time.Time {
	if s.nowFunc != nil {
		return s.nowFunc()
	}
	return time.Now()
}

// Answered notes that the Bot API has answered, over which TLS.
func (s *Stats) Answered(tls, cipher string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.detail, s.lastOK, s.tls, s.cipher = "ok", "", s.now(), tls, cipher
}

// Failed notes why it does not: "unauthorized", "conflict" or "error", and the detail.
func (s *Stats) Failed(state, detail string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.detail = state, detail
}

// Uptime is how long the gateway has been running.
func (s *Stats) Uptime() time.Duration { return s.now().Sub(s.started) }

// Ready tells whether the Bot API has answered lately.
func (s *Stats) Ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready()
}

func (s *Stats) ready() bool {
	return s.state == "ok" && s.now().Sub(s.lastOK) <= s.ReadyFor
}

// AppendJSON appends the document that /health and /ready answer with; status is "ok" or what else the caller says.
func (s *Stats) AppendJSON(to []byte, status string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := func(key, value string) {
		to = append(to, key...)
		to = jsonstream.AppendString(to, value)
	}
	number := func(key string, value int64) {
		to = append(to, key...)
		to = strconv.AppendInt(to, value, 10)
	}
	text(`{"status":`, status)
	text(`,"version":`, s.Version)
	number(`,"pid":`, int64(os.Getpid()))
	number(`,"uptime_s":`, int64(s.Uptime()/time.Second))
	number(`,"inbound":`, s.Inbound.Load())
	number(`,"outbound":`, s.Outbound.Load())
	number(`,"refused":`, s.Refused.Load())
	number(`,"errors":`, s.Errors.Load())
	if usage, err := procmem.Read(); err == nil {
		number(`,"rss_kib":`, usage.RSS)
		number(`,"hwm_kib":`, usage.Peak)
	}
	state := s.state
	if state == "ok" && !s.ready() {
		state = "error"
	}
	text(`,"telegram":{"state":`, state)
	if !s.lastOK.IsZero() {
		number(`,"last_ok_s":`, int64(s.now().Sub(s.lastOK)/time.Second))
	}
	text(`,"tls_version":`, s.tls)
	text(`,"tls_cipher":`, s.cipher)
	text(`,"detail":`, s.detail)
	return append(to, "}}\n"...)
}
