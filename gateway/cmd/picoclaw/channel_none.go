//go:build !telegram

package main

import (
	"errors"

	"slimdeploy/gateway/internal/config"
	"slimdeploy/gateway/internal/health"
	"slimdeploy/gateway/internal/pages"
)

type channel struct{ stats *health.Stats }

func newChannel(*config.Config, pages.Program) (*channel, error) {
	return nil, errors.New("this binary was built without a channel; build it with -tags telegram")
}

func (c *channel) run(<-chan struct{}) error { return errUnusable }
