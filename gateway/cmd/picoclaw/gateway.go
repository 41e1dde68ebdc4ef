package main

import (
	"errors"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"slimdeploy/gateway/internal/config"
	"slimdeploy/gateway/internal/logline"
)

var errUnusable = errors.New("the gateway can't run with this config")

// runGateway serves until TERM or INT; what is under way then is ended in order. HUP makes it read its config again.
func runGateway(flag string) int {
	settings, code := load(flag)
	if settings == nil {
		return code
	}
	program := giveBack()
	// Before anybody can see that it runs: a HUP that is not caught is the end.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	remark(settings)
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

	go obey(signals, channel, settings.Path, settings.Health)

	logline.Info("started", "version", version, "target", target(), "health", address, "pid", strconv.Itoa(os.Getpid()))
	if err := channel.run(); err != nil {
		logline.Error("the gateway ends", "error", err.Error())
		if errors.Is(err, errUnusable) {
			return exitConfig
		}
		return exitFault
	}
	logline.Info("stopped")
	return exitOK
}

// obey does what signals ask for. A reload may take as long as an answer; a stop does not wait for it.
func obey(signals <-chan os.Signal, channel *channel, path string, health config.Health) {
	var reloaded chan struct{} // nil while no reload is under way
	again := false
	for {
		select {
		case <-reloaded:
			reloaded = nil
			if again {
				again, reloaded = false, reloading(channel, path, health)
			}
		case received := <-signals:
			switch {
			case received == syscall.SIGHUP && reloaded == nil:
				reloaded = reloading(channel, path, health)
				continue
			case received == syscall.SIGHUP: // the file may have changed since it was read
				again = true
				continue
			}
			logline.Info("stopping", "signal", strings.ReplaceAll(received.String(), " ", "-"))
			channel.halt()
			for received := range signals {
				if received != syscall.SIGHUP { // a second one does not wait
					os.Exit(exitFault)
				}
			}
		}
	}
}

func reloading(channel *channel, path string, health config.Health) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		reload(channel, path, health)
	}()
	return done
}

// reload reads the config again; one that is at fault is refused, and nothing changes.
func reload(channel *channel, path string, health config.Health) {
	settings, err := config.Load(path)
	var changed string
	if err == nil {
		remark(settings)
		changed, err = channel.reload(settings)
	}
	if err != nil {
		logline.Error("the new config is refused; the old one goes on", "error", err.Error())
		return
	}
	logline.Info("the config was read again", "changed", changed)
	if settings.Health != health {
		logline.Warn("gateway.host and gateway.port change with a restart only; it goes on where it listens",
			"health", net.JoinHostPort(health.Host, strconv.Itoa(health.Port)))
	}
}

// remark logs what a user may want to know of a config that can be used.
func remark(settings *config.Config) {
	for _, key := range settings.Ignored {
		logline.Info("a key of the config is not used here", "key", key)
	}
	if warning := config.Exposed(settings.Path); warning != "" {
		logline.Warn(warning)
	}
}
