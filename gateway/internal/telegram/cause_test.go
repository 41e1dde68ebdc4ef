package telegram

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"slimdeploy/gateway/internal/wire"
)

func TestWhatNoRetryCuresIsLoggedOnceAndTriedOn(t *testing.T) {
	api := newBotAPI(t)
	endpoint, err := wire.ParseEndpoint(api.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	said := "vouches for " + endpoint.Host + ";"
	before := strings.Count(log.String(), said) // the test may run twice
	g := api.startWith(func(p *Poller) {
		p.Bot = NewBot(endpoint, token, &tls.Config{RootCAs: x509.NewCertPool()})
		p.FirstPause = time.Millisecond
	})
	for end := time.Now().Add(testTime); g.Stats.Errors.Load() < 5; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d errors", g.Stats.Errors.Load())
		}
	}
	if state, detail := g.state(); state != "error" || !strings.Contains(detail, "SSL_CERT_FILE") {
		t.Errorf("%q, %q", state, detail)
	}
	g.end()
	for end := time.Now().Add(testTime); strings.Count(log.String(), said) == before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is not logged")
		}
	}
	if times := strings.Count(log.String(), said) - before; times != 1 {
		t.Errorf("%d tries were logged %d times", g.Stats.Errors.Load(), times)
	}
}
