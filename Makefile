# flowfast: `make help` lists what can be made. Everything happens in .venv and target/; nothing is installed elsewhere.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CARGO ?= cargo
export VIRTUAL_ENV := $(CURDIR)/$(VENV)

.DEFAULT_GOAL := help

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: build ## collect real captures and a million generated flows into Parquet, and look at them
	@$(BIN)/python examples/demo.py

test: lint types rust-test build ## all checks: lints, types, Rust tests, Python tests
	$(BIN)/python -m pytest -q

soak: build ## the trials at length: floods, slow and dead targets, reloads, kill -9, half an hour at half the lossless rate
	FLOWFAST_SOAK=1 $(BIN)/python -m pytest -q -m trial tests/python --timeout 3600

bench: build ## benchmarks of this machine (speed is measured here, never asserted in tests)
	$(BIN)/pip install --quiet --group bench
	$(BIN)/flowfast bench decode
	$(BIN)/python bench/peers.py
	$(BIN)/flowfast bench receive
	@mkdir -p target/bench
	$(BIN)/flowfast bench collect --to parquet:target/bench
	$(BIN)/flowfast bench lossless
	$(BIN)/python -m pytest -q bench --benchmark-columns=median,rounds

fmt: $(VENV)/.installed ## format Rust and Python
	$(CARGO) fmt --all
	$(BIN)/ruff check --fix-only --quiet python tests bench docs examples registry
	$(BIN)/ruff format --quiet python tests bench docs examples registry

docs: build ## regenerate docs/reference from the code
	$(BIN)/python docs/generate.py

build: $(VENV)/.installed ## compile the core and install the package into .venv
	@echo "building (a few minutes the first time)"
	@$(BIN)/maturin develop --release >$(VENV)/build.log 2>&1 || { cat $(VENV)/build.log; exit 1; }

lint: $(VENV)/.installed
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings
	$(BIN)/ruff check --quiet python tests bench docs examples registry
	$(BIN)/ruff format --check --quiet python tests bench docs examples registry
	$(BIN)/python registry/generate.py --check

types: build
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest flowfast._core

# The Python crate's own tests link libpython, which not every Python ships; pytest covers it in any case.
rust-test: $(VENV)/.installed
	$(CARGO) test --workspace --exclude flowfast-python --quiet
	@if $(BIN)/python -c "$$HAS_LIBPYTHON"; then PYO3_PYTHON=$(CURDIR)/$(BIN)/python $(CARGO) test -p flowfast-python --quiet; fi

define HAS_LIBPYTHON
import pathlib, sys, sysconfig
names = [sysconfig.get_config_var(name) for name in ("LDLIBRARY", "LIBRARY")]
sys.exit(not any((pathlib.Path(sysconfig.get_config_var("LIBDIR")) / name).exists() for name in names if name))
endef
export HAS_LIBPYTHON

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: flowfast needs Python 3.11 or newer\nhint: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --group dev
	@touch $@

clean: ## remove what was built
	rm -rf $(VENV) target demo

.PHONY: help demo test soak bench fmt docs build lint types rust-test clean
