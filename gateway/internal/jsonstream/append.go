package jsonstream

import "unicode/utf8"

const hexDigits = "0123456789abcdef"

// AppendString appends text to to as a JSON string; what is not UTF-8 becomes U+FFFD.
func AppendString(to []byte, text string) []byte {
	to = append(to, '"')
	for _, character := range text {
		switch {
		case character == '"' || character == '\\':
			to = append(to, '\\', byte(character))
		case character == '\n':
			to = append(to, '\\', 'n')
		case character < ' ' || character == 0x7F:
			to = append(to, '\\', 'u', '0', '0', hexDigits[character>>4], hexDigits[character&15])
		default:
			to = utf8.AppendRune(to, character)
		}
	}
	return append(to, '"')
}
