# Sextant's commands. Each makes what it needs; `make demo` and `make test` are all a newcomer has to know.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test lint bench clean

help:
	@echo "make demo   search a network, its bits and its accelerator together; prints the front (under 3 minutes)"
	@echo "make test   all tests (under 6 minutes)"
	@echo "make lint   ruff and mypy"
	@echo "make bench  measured speeds and the quality of the searches"
	@echo "make clean  remove what these commands made"

$(READY): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(READY)
	rm -rf build/demo
	$(BIN)/sextant cosearch examples/edge_vision.toml --out build/demo --workers 2

test: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -m benchmarks.mapping_speed
	$(BIN)/python -m benchmarks.candidate_speed
	$(BIN)/python -m benchmarks.systolic_speed
	$(BIN)/python -m benchmarks.sparch_speed
	$(BIN)/python -m benchmarks.sparch_fast_modes
	$(BIN)/python -m benchmarks.spatten_speed
	$(BIN)/python -m benchmarks.search_quality

clean:
	rm -rf $(VENV) build *.egg-info
