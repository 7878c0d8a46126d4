# personae: `make run` starts everything, `make test` tests everything. Both make what they need.

PYTHON ?= python3
# make run PROFILE=cpu-demo|gpu-24g|gpu-80g|external; the default fits the machine.
PROFILE ?=
BIN := .venv/bin
# These tests mostly wait for each other's processes, and with more than a thread each would wait for each other's cores;
# those of a real vLLM need the machine to themselves.
SIDE_BY_SIDE := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder

.PHONY: run test test-ray unit lint docs env env-dev lock clean help

help:
	@echo "make run    environment, models, indexes, engine, gateway, bots; a demo; stays up (Ctrl-C ends it)"
	@echo "make test   lint, types, unit tests, bots against fakes, and the real vLLM (about half an hour)"
	@echo "make test-ray  engines on a Ray cluster of two nodes (six to ten minutes)"
	@echo "make unit   the part of the tests that runs no whole programs, databases or models"
	@echo "make docs   write the parts of docs/ anew that the code knows best"
	@echo "make lock   write requirements/*.txt anew (needs uv)"

run: env
	@exec $(BIN)/personae $(if $(PROFILE),--profile $(PROFILE)) up --demo

test: env-dev lint
	@$(PYTHON) requirements/system.py
	@$(SIDE_BY_SIDE) -n 4 -m "not slow and not vllm and not gpu" --durations=5
	@$(SIDE_BY_SIDE) -n 3 -m "slow and not vllm and not gpu" --durations=5
	@$(BIN)/python -m pytest -m "vllm and not ray" --durations=30

# A cluster of two nodes with real engines, in an environment of its own; takes the machine for itself.
test-ray: env-dev
	@$(PYTHON) requirements/install.py --ray
	@$(BIN)/python -m pytest -m "ray" -s

unit: env-dev
	@$(SIDE_BY_SIDE) -n 4 -m "not whole and not slow and not vllm and not gpu"

lint: env-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

docs: env-dev
	@$(BIN)/python -m docs.generator

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
