package trust

// DER tags (X.690).
const (
	tagInteger  = 0x02
	tagSequence = 0x30
	tagVersion  = 0xA0 // [0], explicit
)

// subject is the name that a certificate was made for, in DER as it stands there; nil where it is no certificate.
//
//	Certificate ::= SEQUENCE { tbsCertificate, … }                                     (RFC 5280, section 4.1)
//	TBSCertificate ::= SEQUENCE { [0] version, serialNumber, signature, issuer, validity, subject, … }
func subject(certificate []byte) []byte {
	_, inside, _ := element(certificate, tagSequence)
	_, rest, _ := element(inside, tagSequence)
	if _, _, after := element(rest, tagVersion); after != nil {
		rest = after
	}
	_, _, rest = element(rest, tagInteger)
	for range 3 { // signature, issuer, validity
		_, _, rest = element(rest, tagSequence)
	}
	name, _, _ := element(rest, tagSequence)
	return name
}

// element is the first element of der, what is in it, and what stands after it; nil where it has another tag or is broken.
func element(der []byte, tag byte) (whole, inside, after []byte) {
	if len(der) < 2 || der[0] != tag {
		return nil, nil, nil
	}
	length, head := int(der[1]), 2 // a certificate of 16 MiB and more is none
	if length >= 0x80 {            // the number of bytes that follow and hold the length
		head += length & 0x7F
		if length == 0x80 || head > 4 || len(der) < head {
			return nil, nil, nil
		}
		length = 0
		for _, c := range der[2:head] {
			length = length<<8 | int(c)
		}
	}
	if len(der)-head < length {
		return nil, nil, nil
	}
	return der[:head+length], der[head : head+length], der[head+length:]
}
