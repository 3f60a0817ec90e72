# `make` alone says what there is. Needs Python 3.11 or newer (with venv) and make, and nothing else.
.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3.14 python3 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python
# Some images forbid Python to keep what it compiled. A new environment has nothing compiled: each of the dozen processes
# of an installation would compile every library anew, three seconds of a processor each.
export PYTHONDONTWRITEBYTECODE :=
ARGS ?=
# Tests wait for servers more than they work: one process more than there are processors, four at most.
JOBS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); [ $$n -ge 3 ] && echo 4 || echo $$((n + 1)))

##@ Use it
.PHONY: run
run: $(VENV)/.run ## start everything, with a demo system to look at (ARGS="--port 9000")
	@exec $(BIN)/headrace up $(ARGS)

.PHONY: install
install: $(VENV)/.run ## make the environment in .venv and stop there

##@ Work on it
.PHONY: test
test: test-most test-faults ## all tests; says what it skips and how to get it

.PHONY: test-most
test-most: $(VENV)/.dev
	@# In a row as far as it goes: what a file or a session shares is then started by one process, not by each of them.
	@$(BIN)/pytest tests -q -n $(JOBS) --dist worksteal --ignore tests/faults $(ARGS)

.PHONY: test-faults
test-faults: $(VENV)/.dev
	@# What kills servers and waits for leases needs room: three files at a time, each with an installation of its own.
	@$(BIN)/pytest tests/faults -q -n 3 --dist loadfile $(ARGS)

.PHONY: lint
lint: style types ## lint, format, types, import contracts

.PHONY: style
style: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(VENV)/.dev
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: check
check: lint ## the same, and the tests without servers
	$(BIN)/pytest tests/unit tests/connectors -q -n $(JOBS) -m "not integration" $(ARGS)

.PHONY: bench
bench: $(VENV)/.dev ## measure against baselines in the same run (FULL=1 all of it, ONLY=case,case, WRITE=table.md)
	@$(BIN)/python -m tests.bench.run $(if $(FULL),--full) $(if $(ONLY),--only $(ONLY)) $(if $(WRITE),--write $(WRITE))

.PHONY: format
format: $(VENV)/.dev ## put code into the one format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: lock
lock: $(VENV)/.dev ## resolve the dependencies anew and write the lock files
	@for extras in "requirements.txt:--extra embedded --extra build" \
		"requirements-dev.txt:--extra embedded --extra build --extra parquet --extra aws --extra vault --extra azure --extra dev"; do \
		$(BIN)/uv pip compile --quiet pyproject.toml $${extras#*:} --universal --python-version 3.11 \
			--generate-hashes --no-emit-index-url --no-annotate --no-header -o $${extras%%:*}; done

.PHONY: docs
docs: $(VENV)/.dev ## write the generated pages of docs/ anew
	$(BIN)/python -P -m scheduler.cli.pages.commands > docs/commands.md
	$(BIN)/python -P -m scheduler.cli.pages.settings > docs/settings.md
	$(BIN)/python -P -m scheduler.cli.pages.manifest > docs/connectors/manifest.md
	$(BIN)/python -P -m scheduler.cli.pages.manifest schema > docs/connectors/manifest.schema.json

.PHONY: digests
digests: $(VENV)/.dev ## for a release: note what the catalogue's manifests say in their versions
	$(BIN)/python -P -m worker.connectors.registry.digests

.PHONY: conformance
conformance: $(VENV)/.dev ## check the catalogue's connectors, and write the reports into their READMEs
	PYTHONPATH=tests $(BIN)/python -P -m connectors.conformance.write

##@ Tidy up
.PHONY: clean
clean: ## remove the environment and caches; data in .headrace stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache .hypothesis .cache

.PHONY: help
help: ## this text
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- The environment: made once, and again only when a lock file changes.

# uv brings its own list of authorities; behind a company's proxy only the system's list will do.
install = $(UV) --require-hashes -r $(1) 2>$(VENV)/install.log \
	|| $(UV) --require-hashes -r $(1) --system-certs \
	|| { cat $(VENV)/install.log >&2; exit 1; }

$(BIN)/uv: requirements-uv.txt
	@test -n "$(PYTHON)" || { echo "Headrace needs Python 3.11 or newer with venv (Debian: apt install python3 python3-venv)." >&2; exit 2; }
	@echo "Making the environment in $(VENV) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@touch $@

$(VENV)/.run: $(BIN)/uv requirements.txt pyproject.toml
	@$(call install,requirements.txt)
	@$(UV) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	@$(call install,requirements-dev.txt)
	@touch $@
