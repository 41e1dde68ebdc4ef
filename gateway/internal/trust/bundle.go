// Package trust verifies servers against the authorities of a bundle without holding the bundle: of some 150 authorities
// a gateway needs one, and crypto/x509 would keep all of them, which is 1 MB of resident memory.
//
// The verification itself is crypto/x509's.
package trust

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// Bundle is where authorities are kept, as PEM (RFC 7468): the first of the files that can be read, and where it does not
// hold what is needed, all files of the folders.
type Bundle struct {
	Files, Folders []string
}

// File is a bundle of one file.
func File(path string) Bundle { return Bundle{Files: []string{path}} }

// CheckFile finds out whether a file can be read and holds a certificate. It stops at the first that it finds: a pool of
// all that a system has would leave 400 KiB behind.
func CheckFile(path string) error {
	reader := scanner{first: true}
	if err := reader.scan(path); err != nil {
		return err
	}
	if !reader.found {
		return errors.New(path + " holds no certificate")
	}
	return nil
}

// System is the system's bundle, where crypto/x509 looks for it too (its root_linux.go), with the same variables; false
// where a system keeps authorities in another way, which crypto/x509 knows.
func System() (bundle Bundle, ok bool) {
	bundle = Bundle{
		Files: []string{
			"/etc/ssl/certs/ca-certificates.crt",
			"/etc/pki/tls/certs/ca-bundle.crt",
			"/etc/ssl/ca-bundle.pem",
			"/etc/pki/tls/cacert.pem",
			"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
			"/etc/ssl/cert.pem",
		},
		Folders: []string{"/etc/ssl/certs", "/etc/pki/tls/certs"},
	}
	if file := os.Getenv("SSL_CERT_FILE"); file != "" {
		bundle.Files = []string{file}
	}
	if folders := os.Getenv("SSL_CERT_DIR"); folders != "" {
		bundle.Folders = filepath.SplitList(folders)
	}
	return bundle, runtime.GOOS == "linux"
}

// fromFiles adds the authorities of the first file that can be read; an error where there is none.
func (b Bundle) fromFiles(reader *scanner) error {
	problem := ErrNoBundle
	for _, file := range b.Files {
		err := reader.scan(file)
		if err == nil {
			return nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			problem = err
		}
	}
	return problem
}

// fromFolders adds the authorities of all files that can be read; false where there is none.
func (b Bundle) fromFolders(reader *scanner) (any bool) {
	for _, folder := range b.Folders {
		entries, err := os.ReadDir(folder)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			if reader.scan(filepath.Join(folder, entry.Name())) == nil {
				any = true
			}
		}
	}
	return any
}

// ErrNoBundle says that none of the bundle's files is there.
var ErrNoBundle = errors.New("there is no bundle of authorities, such as the package ca-certificates brings")

// scanner reads one file after the other, with the same buffers, and keeps the authorities that bear one of the names.
type scanner struct {
	names [][]byte
	pool  *x509.CertPool
	first bool // nothing is kept, and the first certificate that can be read is the last that is looked at
	found bool // such a one
	lines *bufio.Reader
	text  []byte // a certificate in base64
	der   []byte // the same, decoded
}

// maxText bounds a certificate in base64; the largest authorities take 3 KiB.
const maxText = 64 << 10

var begin, end = []byte("-----BEGIN CERTIFICATE-----"), []byte("-----END CERTIFICATE-----")

// scan adds the authorities of a file that bear one of the names.
func (s *scanner) scan(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if s.lines == nil {
		s.lines = bufio.NewReaderSize(nil, 1024)
	}
	s.lines.Reset(file)
	inside, whole := false, true
	for {
		line, err := s.lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) && !errors.Is(err, io.EOF) {
			return err
		}
		begins := whole // a line
		whole = !errors.Is(err, bufio.ErrBufferFull)
		switch trimmed := bytes.TrimSpace(line); {
		case begins && bytes.Equal(trimmed, begin):
			inside, s.text = true, s.text[:0]
		case !inside:
		case bytes.Equal(trimmed, end):
			inside = false
			s.take()
		case bytes.IndexByte(trimmed, ':') >= 0 || len(s.text)+len(trimmed) > maxText:
			inside = false // it has headers, so that crypto/x509 would not take it either; or it is no certificate
		default:
			s.text = append(s.text, trimmed...)
		}
		if errors.Is(err, io.EOF) || s.found {
			return nil
		}
	}
}

// take adds the certificate that was read, where it is wanted.
func (s *scanner) take() {
	if need := base64.StdEncoding.DecodedLen(len(s.text)); cap(s.der) < need {
		s.der = make([]byte, need)
	}
	n, err := base64.StdEncoding.Decode(s.der[:cap(s.der)], s.text)
	if err != nil {
		return
	}
	if s.first {
		_, err := x509.ParseCertificate(s.der[:n])
		s.found = err == nil
		return
	}
	name := subject(s.der[:n])
	for _, wanted := range s.names {
		if len(name) == 0 || !bytes.Equal(name, wanted) {
			continue
		}
		// A copy: the certificate refers to what it was parsed from.
		if authority, err := x509.ParseCertificate(bytes.Clone(s.der[:n])); err == nil {
			s.pool.AddCert(authority)
		}
		return
	}
}
