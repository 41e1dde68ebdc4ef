// Command picoclaw is the telegram-slim gateway: a Telegram bot gateway that is small enough for a $10 board.
package main

import (
	"os"
	"runtime"
)

// version is set by the linker: -ldflags "-X main.version=1.2.3".
var version = "dev"

// Exit codes. A supervisor does not start the gateway again after exitConfig.
const (
	exitOK         = 0
	exitFault      = 1
	exitUsage      = 2
	exitNotRunning = 3  // of status, as are the next and 0: LSB Core 5.0, "Init Script Actions"
	exitUnknown    = 4  // of status: it can't be told
	exitData       = 65 // EX_DATAERR of sysexits.h, of patch: the patch is no good
	exitConfig     = 78 // EX_CONFIG of sysexits.h
)

const usage = `picoclaw: a Telegram bot gateway for tiny boards

  picoclaw gateway [--config FILE]          run the gateway until TERM or INT; HUP: read the config again
  picoclaw status [--config FILE] [--json]  is it running, since when, and what did it do? (exit code 3: it is not)
  picoclaw version [--json]                 which version this is, and how it was built
  picoclaw simulate [--burst N] [--kinds LIST] [--json]
                                            what N messages take, without a network; also SIMULATE=1 BURST=N picoclaw gateway
  picoclaw patch OLD                        the program that a patch on standard input makes of OLD, to standard output
  picoclaw help                             this text

The config is FILE, else $PICOCLAW_HOME/config.json, else ~/.picoclaw/config.json:
  {"channels": {"telegram": {"enabled": true, "token": "…"}}, "gateway": {"host": "127.0.0.1", "port": 8080}}

Exit codes: 0 fine, 1 a fault, 2 wrong usage, 3 not running, 4 status unknown, 65 a bad patch,
78 a config or token that can't work.
`

func main() {
	os.Exit(run(os.Args[1:]))
}

// run carries out one command and returns the exit code.
func run(arguments []string) int {
	if len(arguments) == 0 {
		os.Stderr.WriteString(usage)
		return exitUsage
	}
	command := arguments[0]
	switch command {
	case "simulate":
		return simulate(arguments[1:])
	case "patch":
		return patch(arguments[1:])
	}
	flags, problem := parseFlags(arguments[1:])
	if problem != "" {
		return wrongUsage(problem)
	}
	switch command {
	case "gateway":
		if flags.json {
			return wrongUsage("gateway takes no --json")
		}
		if os.Getenv("SIMULATE") == "1" {
			return simulate(nil)
		}
		return runGateway(flags.config)
	case "status":
		return showStatus(flags.config, flags.json)
	case "version", "--version":
		return showVersion(flags.json)
	case "help", "--help", "-h":
		os.Stdout.WriteString(usage)
		return exitOK
	}
	return wrongUsage("there is no command " + command)
}

type flags struct {
	config string
	json   bool
}

func parseFlags(arguments []string) (found flags, problem string) {
	for i := 0; i < len(arguments); i++ {
		switch argument := arguments[i]; {
		case argument == "--json":
			found.json = true
		case argument == "--config" && i+1 < len(arguments):
			i++
			found.config = arguments[i]
		case len(argument) > len("--config=") && argument[:len("--config=")] == "--config=":
			found.config = argument[len("--config="):]
		case argument == "--config":
			return found, "--config takes a file"
		default:
			return found, "there is no flag " + argument
		}
	}
	return found, ""
}

func wrongUsage(problem string) int {
	os.Stderr.WriteString("picoclaw: " + problem + "; picoclaw help lists what there is\n")
	return exitUsage
}

func target() string {
	return runtime.GOOS + "/" + runtime.GOARCH
}
