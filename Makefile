# One interface for people and CI. `make demo` to look, `make test` before a commit.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 4

.PHONY: help setup demo test check format lint types imports unit hosts needs bench schema lock screenshots clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     open the console on the embedded demo cluster (no root, no Docker)"
	@echo "make test     every check and every test this machine can run"
	@echo "make check    format, lint, types, import floors"
	@echo "make unit     the fast tests only"
	@echo "make bench    measure, and print the table of docs/benchmarks.md"
	@echo "make format   rewrite the code in the house style"

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml tools/bootstrap.sh
	@sh tools/bootstrap.sh "$(PYTHON)" "$(VENV)"
	@touch $@

demo: $(STAMP)
	@$(BIN)/edxconsole demo

test: $(STAMP) needs check
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup

needs: $(STAMP)
	@$(BIN)/python tools/install_test_needs.py

check: lint types imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	@$(BIN)/lint-imports

unit: $(STAMP)
	$(BIN)/pytest -n $(WORKERS) tests/unit tests/tui

hosts: $(STAMP) needs
	$(BIN)/pytest tests/hosts tests/faults

bench: $(STAMP) needs
	$(BIN)/python -m tests.bench

schema: $(STAMP)
	$(BIN)/python -m edxconsole.inventory.schema > docs/hosts.schema.json

lock:
	$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 \
	    --extra demo --group dev pyproject.toml -o requirements.lock

screenshots: $(STAMP)
	$(BIN)/python tools/screenshots.py

clean:
	rm -rf $(VENV) build dist *.egg-info
