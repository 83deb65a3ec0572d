# Everything runs in .venv, which is made on first use; README.md has the same steps for machines without make.
PYTHON ?= python3
BIN := .venv/bin
BUDGET ?= 60min
STAMP := .venv/.installed
FLOOR := .venv/floor
OLDEST := $(shell sed -n 's/.*"gymnasium>=\(.*\)",/\1/p' pyproject.toml)
FLOOR_TESTS := $(addprefix tests/envs/test_,conformance.py golden.py registered_worlds.py registry.py replay.py \
	settings.py vector.py)

.DEFAULT_GOAL := help
.PHONY: help train test quick test-floor lint format bench results docs browser

help:
	@echo "make train   install, train Q-learning in the city, compare it with the random agent and the expert"
	@echo "make test    install, run all tests"
	@echo "make quick   the tests that take no longer than seconds"
	@echo "make test-floor  test the worlds with the oldest gymnasium that they run on"
	@echo "make lint    ruff (rules, format) and pyright"
	@echo "make format  let ruff rewrite what it can"
	@echo "make bench   steps per second of every world"
	@echo "make results scores of every agent in every environment, as far as BUDGET=60min goes, into docs/results.md"
	@echo "make docs    the documentation site, docs/_build/index.html"

# torch goes first, by its exact version: left to a dependant's loose requirement, pip may fetch a far larger build.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "meze needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install -c constraints.txt -e ".[dev]"
	@touch $@

train: $(STAMP)
	$(BIN)/meze train q-learning city

# Neighbours stay in one process, so what a file's tests share is made once.
test: $(STAMP) browser
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=25

quick: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

# RLlib pins an old gymnasium, so the worlds are tested with the oldest that pyproject.toml allows, without torch.
$(FLOOR)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(FLOOR)
	grep -v '^gymnasium==' constraints.txt > $(FLOOR)/constraints.txt
	$(FLOOR)/bin/python -m pip install -c $(FLOOR)/constraints.txt gymnasium==$(OLDEST) -e . hypothesis pytest-xdist
	@touch $@

test-floor: $(FLOOR)/.installed
	$(FLOOR)/bin/python -m pytest -n 2 $(FLOOR_TESTS)

# Reports are looked at in Chromium, which Debian's root can install; elsewhere these few tests skip themselves.
browser:
	@{ command -v chromium && command -v chromedriver; } >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	&& apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
	chromium chromium-driver; } || echo "no Chromium: the tests of reports in a browser are left out"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	$(BIN)/meze bench

results: $(STAMP)
	$(BIN)/python benchmarks/results_table.py --budget $(BUDGET)

docs: $(STAMP)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going -q docs docs/_build
