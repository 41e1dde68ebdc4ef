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

func (c *channel) run() error { return errUnusable }

func (c *channel) halt() {}

func (c *channel) reload(*config.Config) (changed string, err error) { return "", errUnusable }
