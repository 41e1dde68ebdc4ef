//go:build !nohealth

package main

import (
	"net"
	"strconv"

	"slimdeploy/gateway/internal/config"
	"slimdeploy/gateway/internal/health"
)

// serveHealth answers about the gateway on the address that the config names, until it is closed.
func serveHealth(settings *config.Config, stats *health.Stats) (address string, closed func() error, err error) {
	address = net.JoinHostPort(settings.Health.Host, strconv.Itoa(settings.Health.Port))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", nil, err
	}
	go health.Serve(listener, stats)
	return address, listener.Close, nil
}
