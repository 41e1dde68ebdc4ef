package telegram

import (
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"slimdeploy/gateway/internal/logline"
	"slimdeploy/gateway/internal/wire"
)

const mostPause = 60 * time.Second

func (p *Poller) firstPause() time.Duration {
	if p.FirstPause > 0 {
		return p.FirstPause
	}
	return time.Second
}

// again does work until it succeeds, is interrupted or can't ever succeed, with growing pauses between.
func (p *Poller) again(stop <-chan struct{}, work func() error) error {
	pause := p.firstPause()
	deleted := false
	for {
		err := work()
		already := p.told.Already(err)
		if err == nil || errors.Is(err, wire.ErrInterrupted) {
			return err
		}
		p.Stats.Errors.Add(1)
		state := "error"
		switch code(err) {
		case 401, 404: // 404 is what the Bot API says to a path whose token has no valid form
			p.Stats.Failed("unauthorized", err.Error())
			return ErrUnauthorized
		case 409:
			state = "conflict"
			if strings.Contains(err.Error(), "webhook") && !deleted { // whoever sets it again and again is not fought
				deleted = true
				if gone := p.Bot.DeleteWebhook(); gone == nil {
					logline.Info("a webhook stood in the way of getUpdates and was deleted")
					continue
				}
			}
		}
		p.Stats.Failed(state, err.Error())
		rests := wait(err, &pause)
		if !already {
			logline.Warn("the Bot API is tried again", "error", err.Error(), "after", rests.Round(time.Millisecond).String())
		}
		if !rest(stop, rests) {
			return wire.ErrInterrupted
		}
	}
}

// code is the Bot API's error code, 0 where the error is another one.
func code(err error) int {
	var failure *Failure
	if errors.As(err, &failure) {
		return failure.Code
	}
	return 0
}

// wait is how long to rest after err: what the API asks for, else pause, which doubles, with up to a quarter taken off by
// chance so that many gateways don't come back at the same moment.
func wait(err error, pause *time.Duration) time.Duration {
	var failure *Failure
	if errors.As(err, &failure) && failure.RetryAfter > 0 {
		return time.Duration(failure.RetryAfter) * time.Second
	}
	now := *pause
	*pause = min(2*now, mostPause)
	return now - rand.N(now/4)
}

func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// rest sleeps; false where stop was closed meanwhile.
func rest(stop <-chan struct{}, length time.Duration) bool {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-stop:
		return false
	case <-timer.C:
		return true
	}
}
