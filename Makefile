# Two targets for users, demo and test; the others are for those who change the code.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check check-python check-gateway check-windows race fuzz bench clean

TESTJOBS ?= auto
FUZZTIME ?= 30s
FUZZJOBS ?= 4
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

demo: $(VENV)/installed
	$(BIN)/invoke deploy --board local

test: $(VENV)/installed-dev
	cd gateway && ../$(BIN)/go test ./...
	$(BIN)/pytest -n $(TESTJOBS)

# Two halves, for make -j2: one runs on one CPU, the other compiles most of the time.
check: check-python check-gateway

check-python: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check-gateway: $(VENV)/installed
	cd gateway && ../$(BIN)/go vet ./... && ../$(BIN)/go vet -tags "telegram smallbuf pprof" ./...
	cd gateway && ../$(BIN)/go run $(STATICCHECK) ./... && ../$(BIN)/go run $(STATICCHECK) -tags "telegram smallbuf pprof" ./...
	cd gateway && unformatted="$$(../$(BIN)/go fmt ./...)"; test -z "$$unformatted" || { echo "go fmt changed: $$unformatted"; exit 1; }

# Not in check: the first time, Go's library is compiled for Windows, which takes half a minute.
check-windows: $(VENV)/installed-dev
	cd gateway && GOOS=windows GOARCH=amd64 ../$(BIN)/go build ./... && GOOS=windows GOARCH=amd64 ../$(BIN)/go vet ./...

# The race detector needs a C compiler.
race: $(VENV)/installed-dev
	cd gateway && CGO_ENABLED=1 ../$(BIN)/go test -race ./internal/...

# FUZZJOBS targets at a time, a worker each. Instrumented packages are compiled once before, and not by each of them.
fuzz: $(VENV)/installed-dev
	cd gateway && ../$(BIN)/go test -c -fuzz . -o /dev/null ./internal/openai && \
	  ../$(BIN)/go test -list '^Fuzz' ./... | awk '/^Fuzz/ {all = all " " $$1} /^ok/ {n = split(all, names, " "); all = ""; \
	    for (i = 1; i <= n; i++) print $$2, names[i]}' | xargs -L 1 -P $(FUZZJOBS) sh -c \
	  '../$(BIN)/go test -run "^$$" -fuzz "^$$2$$" -fuzztime $(FUZZTIME) -parallel 1 "$$1"' fuzz

bench: $(VENV)/installed-dev
	$(BIN)/python benchmarks/noop_deploy.py
	$(BIN)/python benchmarks/gateway_memory.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "slimdeploy needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) can't make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV)
