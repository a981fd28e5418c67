# One door to every chore. Each target makes the environment it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TESTS ?= tests

.PHONY: help demo test fuzz lint docs bench clean

help:
	@echo "make demo   simulate a small hospital, run everything, leave demo/report.html"
	@echo "make test   every test"
	@echo "make fuzz   the random comparisons of engines and plain twins, 10,000 tables a room"
	@echo "make lint   ruff, mypy, and the rules of the house"
	@echo "make docs   build the manual into site/"
	@echo "make bench  10 and 100 million rows, FHIR ingest, one patient, a million episodes explained, a worklist, reference limits"

demo: $(VENV)/run.done
	@$(BIN)/leukopenia demo demo

test: $(VENV)/dev.done system
	$(BIN)/pytest -n 2 --dist loadfile $(TESTS)

fuzz: $(VENV)/dev.done system
	LEUKOPENIA_FUZZ=10000 $(BIN)/pytest tests/generative

lint: $(VENV)/dev.done
	$(BIN)/ruff check src tests benchmarks docs
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/dev.done
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group docs
	$(BIN)/python docs/build.py

bench: $(VENV)/dev.done
	$(BIN)/python benchmarks/all.py

clean:
	rm -rf demo site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# What pip cannot bring. With CI=true a missing part is an error.
.PHONY: system
system:
	@sh tools/system_parts.sh

$(VENV)/run.done: pyproject.toml
	@$(PYTHON) tools/check_python.py
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/dev.done: pyproject.toml $(VENV)/run.done
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[spark,excel,pandas]" --group test --group lint
	@touch $@
