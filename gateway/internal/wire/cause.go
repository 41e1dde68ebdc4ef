package wire

import (
	"crypto/x509"
	"errors"
	"time"

	"slimdeploy/gateway/internal/trust"
)

// Cause is an error of TLS that no retry cures: something has to be done on the board, or at the server. Its text says
// what. Two of the same Kind have the same cure.
type Cause struct {
	Kind string
	text string
	err  error
}

func (c *Cause) Error() string { return c.text }

// Unwrap is what crypto/tls said.
func (c *Cause) Unwrap() error { return c.err }

// sensible is 2024-01-01: no clock that says less can be right. A board without a battery begins at 1970-01-01, or where its
// system image was made.
var sensible = time.Unix(1704067200, 0)

// explained makes a Cause of what went wrong with the certificate of host, where its cure is known; now is the board's time.
func explained(err error, host string, now time.Time) error {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	day := func(t time.Time) string { return t.UTC().Format("2006-01-02") }
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.Before(sensible):
		return &Cause{"clock", "this board's clock says " + day(now) + ", when no certificate of today is valid; set it (ntpd, chronyd, or " +
			"date -s), then the gateway goes on by itself", err}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.Before(invalid.Cert.NotBefore):
		return &Cause{"early", "the certificate of " + host + " is valid from " + day(invalid.Cert.NotBefore) + " on, but this board's clock says " +
			day(now) + "; set the clock (ntpd, chronyd, or date -s), then the gateway goes on by itself", err}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return &Cause{"expired", "the certificate of " + host + " expired on " + day(invalid.Cert.NotAfter) + ", and this board's clock says " +
			day(now) + "; if the clock is right, the server needs a new certificate", err}
	case errors.Is(err, trust.ErrNoBundle):
		return &Cause{"bundle", "this board has no bundle of certificate authorities, so that " + host + " can't be trusted; install the package " +
			"ca-certificates, or name a bundle with SSL_CERT_FILE or ca_file", err}
	case errors.As(err, &unknown):
		return &Cause{"authority", "no certificate authority that this board knows vouches for " + host + "; a newer CA bundle (the package " +
			"ca-certificates) may, or name the authority's file with SSL_CERT_FILE or ca_file", err}
	}
	return err
}

// Told remembers which Cause was logged last, so that retries do not fill a small log with it.
type Told struct{ kind string }

// Already tells whether err has the Cause that the call before had; any other outcome, also nil for success, begins anew.
func (t *Told) Already(err error) bool {
	if err == nil { // before cause, which is made on the heap
		t.kind = ""
		return false
	}
	var cause *Cause
	if !errors.As(err, &cause) {
		t.kind = ""
		return false
	}
	already := t.kind == cause.Kind
	t.kind = cause.Kind
	return already
}
