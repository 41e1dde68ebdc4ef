package trust

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAServerOfAnAuthorityOfTheBundleIsTrusted(t *testing.T) {
	top, other := root(t, "Top"), root(t, "Other")
	middle := between(t, top, "Middle")
	one, two := server(t, top, time.Time{}), server(t, middle, time.Time{})
	many := []*authority{top}
	for range 20 {
		many = append(many, root(t, "A"))
	}
	for name, c := range map[string]struct {
		bundle []byte
		chain  []*authority
	}{
		"signed by it":                 {text(other, top), []*authority{one}},
		"signed by one between":        {text(top, other), []*authority{two, middle}},
		"sends the authority too":      {text(top), []*authority{two, middle, top}},
		"the one between is trusted":   {text(other, middle), []*authority{two}},
		"the server itself is trusted": {text(one), []*authority{one}},
		"and others follow":            {text(many...), []*authority{two, middle}},
		"with comments and CRLF": {
			bytes.ReplaceAll(append([]byte("# "+strings.Repeat("x", 5000)+"\nTop\n=====\n"), text(other, top)...), []byte("\n"), []byte("\r\n")),
			[]*authority{one},
		},
		"after what is broken": {
			append([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"+
				"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"), text(top)...),
			[]*authority{one},
		},
		"in one line, without an end of line": {
			[]byte(strings.TrimSpace(oneLine(string(text(top))))), []*authority{one},
		},
	} {
		t.Run(name, func(t *testing.T) {
			address := listen(t, c.chain...)
			for _, host := range []string{"api.test", "127.0.0.1"} {
				if _, err := dial(address, secured(File(file(t, c.bundle)), host)); err != nil {
					t.Errorf("%s: %v", host, err)
				}
			}
		})
	}
}

func oneLine(text string) string {
	block, _ := pem.Decode([]byte(text))
	whole := string(pem.EncodeToMemory(block))
	lines := strings.Split(strings.TrimSpace(whole), "\n")
	return lines[0] + "\n" + strings.Join(lines[1:len(lines)-1], "") + "\n" + lines[len(lines)-1]
}

func TestAnyOtherServerIsRefused(t *testing.T) {
	top, namesake := root(t, "Top"), root(t, "Top")
	middle := between(t, top, "Middle")
	good, late := server(t, top, time.Time{}), server(t, top, time.Now().Add(-time.Hour))
	trusting := func(authorities ...*authority) Bundle { return File(file(t, text(authorities...))) }
	headers := strings.Replace(string(text(top)), "-----\n", "-----\nProc-Type: 4\n\n", 1)
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	for what, c := range map[string]struct {
		bundle Bundle
		host   string
		chain  []*authority
		as     any
	}{
		"of an authority that is not there": {trusting(root(t, "Other")), "api.test", []*authority{good}, &unknown},
		"of another one with the same name": {trusting(namesake), "api.test", []*authority{good}, &unknown},
		"of an authority that it brings":    {trusting(namesake), "api.test", []*authority{good, top}, &unknown},
		"that leaves out the one between":   {trusting(top), "api.test", []*authority{server(t, middle, time.Time{})}, &unknown},
		"signed by what is no authority":    {trusting(top), "api.test", []*authority{server(t, good, time.Time{}), good}, &unknown},
		"of another name":                   {trusting(top), "api.other", []*authority{good}, &name},
		"of another address":                {trusting(top), "127.0.0.2", []*authority{good}, &name},
		"whose time is over":                {trusting(top), "api.test", []*authority{late}, &invalid},
		"with headers in the bundle":        {File(file(t, []byte(headers))), "api.test", []*authority{good}, &unknown},
		"without a bundle":                  {File(filepath.Join(t.TempDir(), "none")), "api.test", []*authority{good}, &ErrNoBundle},
		"with an empty one":                 {File(file(t, nil)), "api.test", []*authority{good}, &unknown},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := dial(listen(t, c.chain...), secured(c.bundle, c.host))
			var refused *tls.CertificateVerificationError
			if !errors.As(err, &refused) {
				t.Fatalf("it is trusted: %v", err)
			}
			if c.as == &ErrNoBundle {
				if !errors.Is(err, ErrNoBundle) {
					t.Error(err)
				}
			} else if !errors.As(err, c.as) {
				t.Errorf("%T %v", refused.Err, err)
			}
		})
	}
	if err := File("x").verify(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{good.certificate}}, "", time.Now()); err == nil {
		t.Error("a server without a name is trusted")
	}
}

func TestFoldersAreReadWhereTheFileDoesNotDo(t *testing.T) {
	top, expired := root(t, "Top"), root(t, "Top")
	address := listen(t, server(t, top, time.Time{}))
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "abc.0"), text(top), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, "more"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, bundle := range [][]byte{nil, text(root(t, "Other")), text(expired)} {
		b := Bundle{Files: []string{"/does/not/exist", file(t, bundle)}, Folders: []string{"/does/not/exist", folder}}
		if _, err := dial(address, secured(b, "api.test")); err != nil {
			t.Error(err)
		}
	}
	if _, err := dial(address, secured(Bundle{Folders: []string{folder}}, "api.test")); err != nil {
		t.Error(err)
	}
}

func TestAResumedSessionIsStillOfTheHost(t *testing.T) {
	top := root(t, "Top")
	path := file(t, text(top))
	address := listen(t, server(t, top, time.Time{}))
	config := secured(File(path), "api.test")
	if resumed, err := dial(address, config); err != nil || resumed {
		t.Fatal(resumed, err)
	}
	if resumed, err := dial(address, config); err != nil || !resumed {
		t.Fatal(resumed, err)
	}
	state := tls.ConnectionState{DidResume: true, PeerCertificates: []*x509.Certificate{server(t, top, time.Time{}).certificate}}
	if File(path).verify(&state, "api.other", time.Now()) == nil {
		t.Error("it resumes with another host")
	}
	state.PeerCertificates[0] = server(t, top, time.Now().Add(-time.Hour)).certificate
	if File(path).verify(&state, "api.test", time.Now()) == nil {
		t.Error("it resumes with a certificate whose time is over")
	}
}

func TestTheSystemsBundleIsWhereTheVariablesSay(t *testing.T) {
	t.Setenv("SSL_CERT_FILE", "/a/file")
	t.Setenv("SSL_CERT_DIR", "/b"+string(os.PathListSeparator)+"/c")
	bundle, _ := System()
	if len(bundle.Files) != 1 || bundle.Files[0] != "/a/file" || len(bundle.Folders) != 2 || bundle.Folders[1] != "/c" {
		t.Errorf("%+v", bundle)
	}
	t.Setenv("SSL_CERT_FILE", "")
	t.Setenv("SSL_CERT_DIR", "")
	if bundle, _ := System(); len(bundle.Files) < 6 || len(bundle.Folders) < 2 {
		t.Errorf("%+v", bundle)
	}
}

func TestTheNameIsReadAsCryptoX509DoesIt(t *testing.T) {
	authorities := []*authority{root(t, "Top"), between(t, root(t, "Ä"), "x")}
	for _, a := range authorities {
		if got := subject(a.certificate.Raw); !bytes.Equal(got, a.certificate.RawSubject) {
			t.Errorf("%x", got)
		}
	}
	read := 0
	bundle, _ := System()
	for _, path := range bundle.Files {
		text, _ := os.ReadFile(path)
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
				if got := subject(block.Bytes); !bytes.Equal(got, certificate.RawSubject) {
					t.Errorf("%s: %x", certificate.Subject, got)
				}
				read++
			}
		}
	}
	t.Logf("%d authorities of the system", read)
}

func FuzzSubject(f *testing.F) {
	f.Add([]byte{0x30, 0x82, 0, 4, 0x30, 0x84, 0, 0, 0, 1, 0})
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, der []byte) {
		name := subject(der)
		if certificate, err := x509.ParseCertificate(der); err == nil && !bytes.Equal(name, certificate.RawSubject) {
			t.Errorf("%x is not %x", name, certificate.RawSubject)
		}
	})
}
