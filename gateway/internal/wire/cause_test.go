package wire

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slimdeploy/gateway/internal/trust"
)

// secured is a TLS server on loopback whose certificate a CA of its own signed; bundle is the CA's file.
type secured struct {
	endpoint Endpoint
	bundle   string
}

// newSecured lets a certificate be valid from and until.
func newSecured(t *testing.T, from, until time.Time) secured {
	t.Helper()
	caKey, key := newKey(t), newKey(t)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a CA of the test's"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Now().AddDate(50, 0, 0),
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "a server"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: from, NotAfter: until,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{leafDER}, PrivateKey: key}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(testTime))
				if conn.(*tls.Conn).Handshake() == nil {
					conn.Read(make([]byte, 4096))
					io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
			}()
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return secured{Endpoint{TLS: true, Host: "127.0.0.1", Port: port}, bundle}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// post asks the server on a board whose clock says now, and which trusts the bundle as the gateway does.
func (s secured) post(bundle string, now time.Time) error {
	config := &tls.Config{Time: func() time.Time { return now }}
	trust.File(bundle).Secure(config, s.endpoint.Host)
	client := NewClient(s.endpoint, config)
	defer client.Close()
	return client.Post([]byte("/"), []byte("{}"), testTime, func(int, io.Reader) error { return nil })
}

func TestWhatABoardLacksForTLSIsSaidWithItsCure(t *testing.T) {
	t.Parallel()
	now := time.Now()
	today := now.UTC().Format("2006-01-02")
	fresh := newSecured(t, now.Add(-time.Hour), now.Add(time.Hour))
	stranger := newSecured(t, now.Add(-time.Hour), now.Add(time.Hour))
	expired := newSecured(t, now.Add(-48*time.Hour), now.Add(-24*time.Hour))
	if err := fresh.post(fresh.bundle, now); err != nil {
		t.Fatalf("nothing is wrong, but: %v", err)
	}
	for name, c := range map[string]struct {
		server secured
		bundle string
		clock  time.Time
		kind   string
		wanted []string
	}{
		"a board without a battery": {fresh, fresh.bundle, time.Unix(100, 0), "clock", []string{"clock says 1970-01-01", "set it (ntpd"}},
		"a clock that was set once": {
			fresh, fresh.bundle, time.Date(2024, 2, 3, 0, 0, 0, 0, time.UTC), "early",
			[]string{"clock says 2024-02-03", "of 127.0.0.1 is valid from " + now.Add(-time.Hour).UTC().Format("2006-01-02"), "set the clock"},
		},
		"a server that was forgotten": {
			expired, expired.bundle, now, "expired",
			[]string{"expired on " + now.Add(-24*time.Hour).UTC().Format("2006-01-02"), "clock says " + today, "a new certificate"},
		},
		"a board without a bundle": {fresh, fresh.bundle + ".none", now, "bundle", []string{"no bundle", "ca-certificates", "SSL_CERT_FILE"}},
		"a bundle without the CA": {
			fresh, stranger.bundle, now, "authority", []string{"vouches for 127.0.0.1", "SSL_CERT_FILE", "ca-certificates"},
		},
	} {
		err := c.server.post(c.bundle, c.clock)
		var cause *Cause
		if !errors.As(err, &cause) || cause.Kind != c.kind {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, words := range c.wanted {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %q does not say %q", name, err, words)
			}
		}
		var original *tls.CertificateVerificationError
		if !errors.As(err, &original) {
			t.Errorf("%s: what crypto/tls said is lost: %v", name, err)
		}
	}
}

func TestTheSystemsOwnAuthoritiesAreMissedInTheSameWords(t *testing.T) {
	t.Parallel()
	server := newSecured(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	client := NewClient(server.endpoint, &tls.Config{RootCAs: x509.NewCertPool()}) // crypto/tls verifies by itself here
	defer client.Close()
	err := client.Post([]byte("/"), []byte("{}"), testTime, func(int, io.Reader) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "SSL_CERT_FILE") {
		t.Errorf("%v", err)
	}
}

func TestOtherFaultsOfTLSAreLeftAsTheyAre(t *testing.T) {
	t.Parallel()
	server := newSecured(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	server.endpoint.Host = "localhost" // which its certificate does not name
	err := server.post(server.bundle, time.Now())
	var cause *Cause
	var name x509.HostnameError
	if errors.As(err, &cause) || !errors.As(err, &name) {
		t.Errorf("%v", err)
	}
}

func TestACauseIsToldOnceUntilAnythingElseHappens(t *testing.T) {
	clock, bundle := &Cause{Kind: "clock"}, &Cause{Kind: "bundle"}
	var told Told
	for i, step := range []struct {
		err     error
		already bool
	}{
		{clock, false},
		{&Cause{Kind: "clock", text: "another day"}, true},
		{bundle, false},
		{errors.Join(bundle), true},
		{nil, false},
		{bundle, false},
		{io.EOF, false},
		{io.EOF, false}, // what a retry may cure is told each time
		{bundle, false},
	} {
		if got := told.Already(step.err); got != step.already {
			t.Errorf("step %d: %v", i, got)
		}
	}
}
