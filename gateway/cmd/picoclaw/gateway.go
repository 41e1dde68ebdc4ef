package main

import (
	"errors"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"slimdeploy/gateway/internal/config"
	"slimdeploy/gateway/internal/logline"
)

var errUnusable = errors.New("the gateway can't run with this config")

// runGateway serves until TERM or INT; what is under way then is ended in order.
func runGateway(flag string) int {
	settings, code := load(flag)
	if settings == nil {
		return code
	}
	program := narrow()
	for _, key := range settings.Ignored {
		logline.Info("a key of the config is not used here", "key", key)
	}
	if warning := config.Exposed(settings.Path); warning != "" {
		logline.Warn(warning)
	}
	channel, err := newChannel(settings, program)
	if err != nil {
		logline.Error("the gateway does not start", "error", err.Error())
		return exitConfig
	}
	address, closeHealth, err := serveHealth(settings, channel.stats)
	if err != nil {
		logline.Error("the health port can't be had", "error", err.Error())
		return exitFault
	}
	defer closeHealth()
	startProfiler()

	stop := make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		name := (<-signals).String()
		logline.Info("stopping", "signal", strings.ReplaceAll(name, " ", "-"))
		close(stop)
		<-signals // a second one does not wait
		os.Exit(exitFault)
	}()

	logline.Info("started", "version", version, "target", target(), "health", address, "pid", strconv.Itoa(os.Getpid()))
	if err := channel.run(stop); err != nil {
		logline.Error("the gateway ends", "error", err.Error())
		if errors.Is(err, errUnusable) {
			return exitConfig
		}
		return exitFault
	}
	logline.Info("stopped")
	return exitOK
}
