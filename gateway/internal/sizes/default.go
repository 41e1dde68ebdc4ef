//go:build !smallbuf

// Package sizes holds the sizes of buffers; the build tag smallbuf picks smaller ones for boards with little RAM.
package sizes

const (
	// Reader is the size of a connection's read buffer, in bytes. One header line has to fit.
	Reader = 8192
	// Updates is how many updates one getUpdates asks for (the Bot API's most is 100).
	Updates = 100
)
