// Package delta knows the patch that makes a program out of an older build of it: its format, and how to apply one. Making
// one is package maker's; it goes over the wire compressed, and unpacking it, and proving that the result is the right one,
// are left to the callers.
//
// A patch is a stream, read once from its start to its end. Its numbers are base-128 varints of at most five bytes, least
// significant group first, the signed ones zigzag-coded (encoding/binary makes them).
//
//	magic       "pdelta1\n"; the digit is the format's version
//	old length  number, bytes
//	new length  number, bytes
//	steps       until new length is reached; nothing follows
//
// A step goes on in the old file where the last one ended, from its start in the first one:
//
//	gap         number: bytes that are as in the old file
//	change      signed: unless it is 0, it is added to the next four bytes, a little-endian word, and the step ends here
//	skip        signed: how far to go in the old file without taking anything
//	literal     number: bytes that follow as they are
//
// Changes are of words, not of bytes, because it is addresses that differ in two builds: whatever means something that lies
// behind a piece that grew is now farther off by the same distance, so few values come again and again, and gzip makes them
// small. One stream with all in turn, not one of gaps and one of changes, lets whoever applies it hold nothing
// (docs/decisions, 0010, has the figures).
package delta

const (
	// Magic is how a patch begins.
	Magic = "pdelta1\n"
	// Word is how many bytes a change is added to.
	Word = 4
)
