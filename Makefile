# personae: `make run` starts everything, `make test` tests everything. Both make what they need.

PYTHON ?= python3
# make run PROFILE=cpu-demo|gpu-24g|gpu-80g|external; the default fits the machine.
PROFILE ?=
BIN := .venv/bin
# These tests mostly wait for each other's processes; those of a real vLLM and of a crowd need the machine to themselves.
SIDE_BY_SIDE := -n 4 --dist loadfile

.PHONY: run test unit lint env env-dev lock clean help

help:
	@echo "make run    environment, models, indexes, engine, gateway, bots; a demo; stays up (Ctrl-C ends it)"
	@echo "make test   lint, types, unit tests, bots against fakes, and the real vLLM (about half an hour)"
	@echo "make unit   the part of the tests that runs no whole programs, databases or models"
	@echo "make lock   write requirements/*.txt anew (needs uv)"

run: env
	@exec $(BIN)/personae $(if $(PROFILE),--profile $(PROFILE)) up --demo

test: env-dev lint
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow and not vllm and not gpu" --durations=5
	@$(BIN)/python -m pytest -n 2 -m "slow and not vllm and not gpu" --durations=5 tests/training
	@$(BIN)/python -m pytest -m "slow and not vllm and not gpu" --durations=5 --ignore=tests/training
	@$(BIN)/python -m pytest -m "vllm" --durations=5

unit: env-dev
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not whole and not slow and not vllm and not gpu"

lint: env-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

env:
	@$(PYTHON) requirements/install.py

env-dev:
	@$(PYTHON) requirements/install.py --dev

# --no-header and --no-annotate: a lock holds names and versions only.
LOCK := uv pip compile --quiet --python-version 3.11 --no-header --no-annotate --no-emit-find-links --no-emit-index-url
lock:
	$(LOCK) --override requirements/left-out.txt requirements/cpu.in -o requirements/cpu.txt
	$(LOCK) --override requirements/left-out-gpu.txt --python-platform x86_64-manylinux_2_28 requirements/gpu.in -o requirements/gpu.txt
	$(LOCK) --override requirements/left-out.txt requirements/dev.in -o requirements/dev.txt

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
