# The one entry point for people. Every target prepares what it needs and is quick the second time.
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
# Four processes on two cores: most of a test's time is spent waiting for clients that poll. In the order of the files, so
# that the few tests which wait minutes by the clock do not come last, when nothing is left to run beside them.
PYTEST := $(PY) -m pytest -n 4 --dist loadscope --no-loadscope-reorder
TOPIC ?=
STATE ?=
PORT ?=
export PYTHON TOPIC STATE PORT FILE PROFILE COUNTS

.DEFAULT_GOAL := help
.PHONY: help demo run import-run test verify lint format types bench bench-hub lock topology workbook infra-check cost clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements-dev.txt .python-version scripts/bootstrap.sh
	@sh scripts/bootstrap.sh $(VENV)
	@touch $@

demo: $(READY) ## run the content pipeline once on this machine, or a pattern (TOPIC="...", PATTERN=consensus, STATE=cosmos)
	@$(PY) -m scripts.$${PATTERN:+pattern_}demo $${PATTERN:+--pattern "$$PATTERN"} $${TOPIC:+--topic "$$TOPIC"} $${STATE:+--state "$$STATE"}

# A host on a port of its own is beside another one, whose Service Bus it must not share.
run: $(READY) ## keep the local host up and print three calls to try (PORT=7072: beside another host)
	@$(PY) -m scripts.run $${STATE:+--state "$$STATE"} $${PORT:+--port "$$PORT" --amqp-port 0}

import-run: $(READY) ## take an exported run into the state store (FILE=run.json)
	@$(PY) -m scripts.import_run $${FILE:+"$$FILE"}

test: $(READY) ## run every test
	@$(PYTEST)

verify: $(READY) ## format, lint, types, architecture and all tests: what CI runs
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m scripts.infra_check
	$(PYTEST)

format: $(READY) ## format and fix what can be fixed
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

bench: $(READY) ## measure: cold import, latency, throughput, memory
	@$(PY) -m bench

bench-hub: $(READY) ## measure the task hub beside LangGraph, DBOS and durabletask's own backend
	@$(PY) -m bench taskhub

topology: $(READY) ## write infra/servicebus.json and the emulator's form of it from the agent catalog
	@$(PY) -m scripts.topology

workbook: $(READY) ## write infra/app/workbook.json, the Azure Monitor workbook, from the saved queries
	@$(PY) -m scripts.workbook

infra-check: $(READY) ## check the Bicep templates: references, roles, settings, versions, names
	@$(PY) -m scripts.infra_check

cost: $(READY) ## count what each pattern takes here, and say what a month costs in Azure (PROFILE=team, COUNTS=counts.json)
	@$(PY) -m scripts.cost $${PROFILE:+--profile "$$PROFILE"} $${COUNTS:+--counts "$$COUNTS"}

lock: $(READY) ## pin requirements*.in again
	$(PY) -m uv pip compile -q --generate-hashes --no-header --no-annotate --python-version 3.13 requirements.in -o requirements.txt
	$(PY) -m uv pip compile -q --generate-hashes --no-header --no-annotate --python-version 3.13 requirements-dev.in -o requirements-dev.txt

clean: ## remove the environment and all local state
	rm -rf $(VENV) .devhost .muster .cache .hypothesis .mypy_cache .ruff_cache .pytest_cache
