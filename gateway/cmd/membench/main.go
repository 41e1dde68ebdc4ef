// Command membench tells what the gateway's message path takes, phase by phase and without a network. The path and the
// Telegram at its end are package simulated's; TLS is not in it.
package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"slimdeploy/gateway/internal/config"
	"slimdeploy/gateway/internal/pages"
	"slimdeploy/gateway/internal/procmem"
	"slimdeploy/gateway/internal/simulated"
	"slimdeploy/gateway/internal/tidy"
)

// Exit codes.
const (
	exitPass        = 0
	exitFail        = 1
	exitUsage       = 2
	exitNotMeasured = 3
)

const usage = `membench: what the gateway's message path takes, phase by phase, without a network

  membench [--burst N] [--kinds LIST] [--budget SIZE] [--config FILE] [--heap-profile FILE] [--json] [--hold]

  --burst N            how many messages; else $BURST, else 1000
  --kinds LIST         which ones, with commas between: all, short, 4k, markdown, emoji, group, command, long, unmentioned,
                       photo, edited; else short
  --budget SIZE        the most that the resident set may be in the last phase, such as 5MiB or 3072KiB
  --config FILE        the config that is loaded in the second phase; else a minimal one
  --heap-profile FILE  where a profile for go tool pprof goes; taking it costs memory, so the figures are higher
  --hold               stop (SIGSTOP) where each phase is read, so that another program can read the same from the kernel;
                       wait, running, after the last phase and behind the verdict; SIGCONT lets it go on each time

The last line is the verdict. Exit codes: 0 PASS, 1 FAIL, 2 wrong usage, 3 NOT MEASURED.
`

func main() {
	os.Exit(run(os.Args[1:], procmem.Read))
}

// run measures and returns the exit code; read tells what the process uses.
func run(arguments []string, read func() (procmem.Usage, error)) int {
	options, problem := parse(arguments)
	switch {
	case options.help:
		os.Stdout.WriteString(usage)
		return exitPass
	case problem != "":
		os.Stderr.WriteString("membench: " + problem + "\n\n" + usage)
		return exitUsage
	}
	startProfile(options.profile)
	m := &measurement{options: options, read: read, stop: func() {}, wait: func() {}}
	if options.hold {
		if m.stop, m.wait = holders(); m.stop == nil {
			os.Stderr.WriteString("membench: --hold takes a system with SIGSTOP\n")
			return exitUsage
		}
	}
	if err := m.run(); err != nil {
		os.Stderr.WriteString("membench: " + err.Error() + "\n")
		m.failure = err.Error()
	}
	text, code := m.tell()
	os.Stdout.Write(text)
	m.wait()
	return code
}

// settleTime is how long the message path waits for messages before its steady state is read.
const settleTime = time.Second

const minimal = `{"channels": {"telegram": {"enabled": true, "token": "` + simulated.Token + `"}}}`

// run goes through the phases, each as the gateway does it.
func (m *measurement) run() error {
	m.phase("1-baseline")
	folder, err := os.MkdirTemp("", "membench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	path := m.options.config
	if path == "" {
		path = filepath.Join(folder, "config.json")
		if err := os.WriteFile(path, []byte(minimal), 0o600); err != nil {
			return err
		}
	}
	settings, err := config.Load(path)
	if err != nil {
		return err
	}
	m.phase("2-config-loaded")

	program, err := pages.Own()
	if err != nil {
		return err
	}
	program.Narrow()
	release := func() { program.Release() }
	release()
	tidy.Limit()
	keeper := tidy.Keeper{Drop: release}
	gateway := simulated.Start(simulated.New(m.options.kinds...), filepath.Join(folder, "telegram.offset"), keeper.Round)
	for end := time.Now().Add(30 * time.Second); !gateway.Stats.Ready(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("the message path does not start")
		}
	}
	m.phase("3-bus-created")

	m.burst, err = gateway.Burst(m.options.burst)
	m.phase("4-after-burst")
	if err != nil {
		return err
	}
	time.Sleep(settleTime)
	m.phase("5-steady-state")
	m.wait()
	if err := writeProfile(m.options.profile); err != nil {
		return err
	}
	runtime.KeepAlive(settings)
	return gateway.Stop()
}

type options struct {
	burst   int
	kinds   []simulated.Kind
	budget  int64 // in bytes, 0 for none
	config  string
	profile string
	json    bool
	hold    bool
	help    bool
}

func parse(arguments []string) (o options, problem string) {
	o.burst, o.kinds = simulated.UsualBurst, []simulated.Kind{simulated.Short}
	if text := os.Getenv("BURST"); text != "" {
		if o.burst, problem = simulated.ParseBurst(text); problem != "" {
			return o, "BURST: " + problem
		}
	}
	for len(arguments) > 0 && problem == "" {
		name, value, given := strings.Cut(arguments[0], "=")
		arguments = arguments[1:]
		switch name {
		case "--json":
			o.json = true
			continue
		case "--hold":
			o.hold = true
			continue
		case "--help", "-h", "help":
			o.help = true
			return o, ""
		}
		if !given && len(arguments) > 0 {
			value, arguments = arguments[0], arguments[1:]
		}
		var err error
		switch name {
		case "--burst":
			o.burst, problem = simulated.ParseBurst(value)
		case "--kinds":
			o.kinds, err = simulated.ParseKinds(value)
		case "--budget":
			o.budget, err = parseSize(value)
		case "--config":
			o.config = value
		case "--heap-profile":
			o.profile = value
		default:
			problem = "there is no flag " + name
		}
		if err != nil {
			problem = err.Error()
		}
		if problem == "" && value == "" {
			problem = name + " takes a value"
		}
	}
	return o, problem
}

// parseSize reads a number of bytes, KiB or MiB. KB and MB, as other programs print them, stand for the same.
func parseSize(text string) (int64, error) {
	digits := strings.TrimRight(text, "KMiB")
	unit := map[string]float64{"": 1, "B": 1, "KiB": 1 << 10, "KB": 1 << 10, "MiB": 1 << 20, "MB": 1 << 20}[text[len(digits):]]
	size, err := strconv.ParseFloat(digits, 64)
	if err != nil || unit == 0 || !(size*unit >= 1 && size*unit <= 1<<40) {
		return 0, errors.New("a size is like 5MiB or 3072KiB, not " + strconv.Quote(text))
	}
	return int64(size * unit), nil
}
