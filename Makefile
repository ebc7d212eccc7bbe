# Sextant's commands. Each makes what it needs; `make demo` and `make test` are all a newcomer has to know.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEVELOPED := $(VENV)/.developed

.PHONY: help demo test drill lint docs bench clean

help:
	@echo "make demo   search a network, its bits and its accelerator together; prints the front (under 3 minutes)"
	@echo "make test   all tests (under 10 minutes)"
	@echo "make drill  long tests: kills, faults, soaks (an hour)"
	@echo "make lint   ruff and mypy"
	@echo "make docs   the documentation, in build/docs"
	@echo "make bench  measured speeds and the quality of the searches; what moved since the last commit measured"
	@echo "make clean  remove what these commands made"

$(READY): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(DEVELOPED): $(READY)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(READY)
	rm -rf build/demo
	$(BIN)/sextant cosearch examples/edge_vision.toml --out build/demo --workers 2

# A file's tests stay together, so that what it prepares once is prepared once; which file runs where changes no result.
WORKERS := -n auto --maxprocesses 4 --dist loadfile

test: $(DEVELOPED)
	$(BIN)/python -m pytest $(WORKERS)

drill: $(DEVELOPED)
	$(BIN)/python -m pytest -m drill

lint: $(DEVELOPED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(DEVELOPED)
	$(BIN)/python -m sphinx -b html -W --keep-going -q -d build/doctrees docs build/docs
	$(BIN)/python -m sphinx -b coverage -W --keep-going -q -d build/doctrees docs build/docs_coverage

bench: $(DEVELOPED)
	$(BIN)/python -m benchmarks.mapping_speed
	$(BIN)/python -m benchmarks.candidate_speed
	$(BIN)/python -m benchmarks.bitfusion_speed
	$(BIN)/python -m benchmarks.systolic_speed
	$(BIN)/python -m benchmarks.sparch_speed
	$(BIN)/python -m benchmarks.sparch_fast_modes
	$(BIN)/python -m benchmarks.spatten_speed
	$(BIN)/python -m benchmarks.oracle_speed
	$(BIN)/python -m benchmarks.workers_speed
	$(BIN)/python -m benchmarks.search_quality
	$(BIN)/python -m benchmarks.compare

clean:
	rm -rf $(VENV) build figures docs/reference *.egg-info
