VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.11 python3; do \
  $$p -c '$(NEW_ENOUGH)' 2>/dev/null && { command -v $$p; break; }; done)

.PHONY: help install audit dashboard check test test-all bench results examples clean
.DEFAULT_GOAL := help

# Where a machine forbids compiled files, every run of the tests would compile the packages anew.
unexport PYTHONDONTWRITEBYTECODE

audit dashboard check test test-all bench results examples: export HF_HUB_OFFLINE ?= 1

help:
	@echo "make install    create $(VENV) and install the pinned packages"
	@echo "make audit      audit the bundled pair afresh"
	@echo "make dashboard  open the dashboard"
	@echo "make check      format, lint, types, import contracts"
	@echo "make test       the fast tests"
	@echo "make test-all   also the slow and the browser tests"
	@echo "make bench      the benchmarks"
	@echo "make results    every table under docs/results, from docs/recipes (TEXT=DIR: their text)"
	@echo "make examples   the tracked runs under artifacts/examples again, from artifacts/models"
	@echo "make clean      remove caches and build leftovers, not $(VENV) and no run"

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@"$(PYTHON)" -c '$(NEW_ENOUGH)' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed; found: $$("$${PYTHON:-python3}" -V 2>&1 || true)." >&2; \
	  echo "Name another one with: make install PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv $(VENV)
	$(PIP) install -c constraints.txt torch==2.13.0
	$(PIP) install -e ".[dev]" -c constraints.txt
	@touch $@

audit: install
	$(BIN)/irl audit --fresh

dashboard: install
	$(BIN)/irl dashboard

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: install
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "not slow and not slow_extra and not browser"

test-all: install
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "not slow_extra"

bench: install
	$(BIN)/python -m tests.benchmarks
	$(BIN)/python -m tests.benchmarks.scoring
	$(BIN)/python -m tests.benchmarks.linear
	$(BIN)/python -m tests.benchmarks.dashboard

results: install
	@for recipe in docs/recipes/*.yaml; do \
	  test -e "$$recipe" || { echo "No recipes in docs/recipes." >&2; exit 1; }; \
	  name=$$(basename "$$recipe" .yaml); \
	  echo "irl results $$name"; \
	  $(BIN)/irl results "$$name" $(if $(TEXT),--text "$(TEXT)") || exit 1; \
	done

examples: install
	$(BIN)/irl runs examples

clean:
	rm -rf build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -path ./$(VENV) -prune -o -type d -name __pycache__ -exec rm -rf {} +
