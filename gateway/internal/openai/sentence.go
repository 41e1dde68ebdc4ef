package openai

import (
	"errors"
	"os"

	"slimdeploy/gateway/internal/wire"
)

// sentence is what the user is told about err; the log has the detail.
func sentence(err error, model string) string {
	var failure *Failure
	switch {
	case errors.Is(err, wire.ErrInterrupted):
		return "" // the gateway stops: nothing more is said
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "The language model did not answer in time."
	case errors.Is(err, errEmpty):
		return "The language model gave no answer."
	case errors.Is(err, errStream):
		return "What the language model answered can't be read."
	case !errors.As(err, &failure):
		return "The language model can't be reached."
	case failure.Status == 401 || failure.Status == 403:
		return "The language model refuses this gateway's API key."
	case failure.Status == 404:
		return "The language model " + model + " is not known there."
	case failure.Status == 429:
		return "The language model has too much to do; please ask again in a minute."
	case failure.tooLong():
		return "Our conversation has grown too long for the language model. I have forgotten it; please ask again."
	case failure.Message == "content_filter":
		return "The language model does not answer that."
	case failure.Status >= 500:
		return "The language model has a problem of its own; please ask again later."
	}
	return "The language model does not take the question."
}
