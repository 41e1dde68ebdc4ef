package trust

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"
)

var errNoCertificate = errors.New("the server shows no certificate")

// Secure makes config verify that a server is host and is vouched for by an authority of the bundle. crypto/tls verifies
// only against authorities that it holds; so its own verification is turned off, and what it would do is done here
// (crypto/tls, the example of Config.VerifyConnection). The bundle is read anew for each connection.
func (b Bundle) Secure(config *tls.Config, host string) {
	config.ServerName = host
	config.InsecureSkipVerify = true
	config.VerifyConnection = func(state tls.ConnectionState) error {
		now := time.Now()
		if config.Time != nil {
			now = config.Time()
		}
		err := b.verify(&state, host, now)
		if err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
		}
		return nil
	}
}

func (b Bundle) verify(state *tls.ConnectionState, host string, now time.Time) error {
	certificates := state.PeerCertificates
	if host == "" || len(certificates) == 0 {
		return errNoCertificate
	}
	server := certificates[0]
	if state.DidResume && now.Before(server.NotAfter) {
		// The session is one that was verified when it was made; it is kept in config, and only there. crypto/tls asks no
		// more of a resumed one either.
		return server.VerifyHostname(host)
	}
	reader := scanner{pool: x509.NewCertPool()}
	between := x509.NewCertPool()
	for i, certificate := range certificates {
		reader.names = append(reader.names, certificate.RawIssuer, certificate.RawSubject)
		if i > 0 {
			between.AddCert(certificate)
		}
	}
	problem := b.fromFiles(&reader)
	wanted := x509.VerifyOptions{DNSName: host, Roots: reader.pool, Intermediates: between, CurrentTime: now}
	_, err := server.Verify(wanted)
	if err == nil || !b.fromFolders(&reader) {
		if err != nil && problem != nil {
			return problem
		}
		return err
	}
	_, err = server.Verify(wanted)
	return err
}
