//go:build !race

package telegram

const raceDetector = false
