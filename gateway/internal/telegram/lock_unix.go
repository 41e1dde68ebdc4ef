//go:build unix

package telegram

import (
	"errors"
	"os"
	"syscall"
)

// locked tells whether another process has file; if not, it is this one's until it is closed (flock(2)). A file system
// that knows no locks is no hindrance.
func locked(file *os.File) bool {
	return errors.Is(syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
