package trust

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

var serial int64

// made makes a certificate that by signs; nil for one that signs itself.
func made(t *testing.T, by *authority, template *x509.Certificate) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial++
	template.SerialNumber = big.NewInt(serial)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	template.NotBefore = template.NotAfter.Add(-48 * time.Hour)
	a := &authority{certificate: template, key: key}
	if by == nil {
		by = a
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func root(t *testing.T, name string) *authority {
	return made(t, nil, &x509.Certificate{
		Subject: pkix.Name{CommonName: name, Organization: []string{"Test"}}, IsCA: true, BasicConstraintsValid: true,
	})
}

func between(t *testing.T, by *authority, name string) *authority {
	return made(t, by, &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true})
}

// server is a certificate for api.test and 127.0.0.1.
func server(t *testing.T, by *authority, until time.Time) *authority {
	return made(t, by, &x509.Certificate{
		Subject: pkix.Name{CommonName: "a server"}, NotAfter: until,
		DNSNames: []string{"api.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	})
}

func text(authorities ...*authority) []byte {
	var out bytes.Buffer
	for _, a := range authorities {
		pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
	}
	return out.Bytes()
}

func file(t *testing.T, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bundle.pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// listen serves TLS with a chain, the server's certificate first, and gives back where.
func listen(t *testing.T, chain ...*authority) (address string) {
	t.Helper()
	certificate := tls.Certificate{PrivateKey: chain[0].key}
	for _, c := range chain {
		certificate.Certificate = append(certificate.Certificate, c.certificate.Raw)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
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
				conn.Write([]byte("x"))
			}()
		}
	}()
	return listener.Addr().String()
}

// dial makes a connection and reads a byte, so that a session can be resumed.
func dial(address string, config *tls.Config) (resumed bool, err error) {
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return false, err
	}
	return conn.ConnectionState().DidResume, nil
}

// secured is a config that trusts a bundle.
func secured(b Bundle, host string) *tls.Config {
	config := &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	b.Secure(config, host)
	return config
}
