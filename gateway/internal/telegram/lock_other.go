//go:build !unix

package telegram

import "os"

func locked(*os.File) bool { return false }
