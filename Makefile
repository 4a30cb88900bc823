# `make help` lists the targets. Everything runs in .venv, which `make` creates itself.

# The first Python that is new enough; `make PYTHON=/path/to/python` takes another.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PROTOS := $(wildcard protos/modelkeep/v1/*.proto)
GENERATED := src/modelkeep/v1

.DEFAULT_GOAL := help
.PHONY: help setup demo test check protos fmt bench bench-scale fuzz audit e2e lock baseline clean

help: ## List the targets
	@echo 'Modelkeep: a model registry you can trust with production. Start with `make demo`.'
	@echo
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

setup: $(STAMP) ## Create .venv with exactly the locked packages

$(STAMP): deploy/requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo 'Modelkeep needs Python 3.11 or newer; name one: make PYTHON=/path/to/python' >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo 'Installing the locked packages into $(VENV)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r deploy/requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## Push, promote and pull a real model, in under 90 seconds
	@$(BIN)/python tests/e2e/demo.py

test: $(STAMP) ## Run all tests (starts its own Postgres and S3)
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist worksteal

check: $(STAMP) ## Format, lint, types, import contracts, protos, generated code, all tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/buf lint protos
	@$(BIN)/buf format --exit-code --diff protos
	@$(BIN)/buf breaking protos --against protos/baseline.binpb
	@$(MAKE) --no-print-directory protos
	@git diff --exit-code --stat -- $(GENERATED) && test -z "$$(git ls-files --others --exclude-standard -- $(GENERATED))" \
		|| { echo 'The generated code differs from protos/: commit what `make protos` wrote.' >&2; exit 1; }
	@$(MAKE) --no-print-directory test

protos: $(STAMP) ## Generate src/modelkeep/v1 from protos/
	@rm -f $(GENERATED)/*_pb2*.py $(GENERATED)/*_pb2*.pyi
	@$(BIN)/python -m grpc_tools.protoc -I protos --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy \
		--plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
		--python_out=src --mypy_out=quiet:src --grpc_python_out=src --mypy_grpc_out=quiet:src $(PROTOS)

baseline: $(STAMP) ## Accept the present contract as the one `buf breaking` compares with (at a release)
	@$(BIN)/buf build protos -o protos/baseline.binpb

fmt: $(STAMP) ## Format everything
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/buf format -w protos

bench: $(STAMP) ## Measure against the direct path, in one run; figures in build/bench/*.json
	@$(BIN)/python tests/bench/run.py

bench-scale: $(STAMP) ## Measure at ten thousand and at a million versions, in one run, beside MLflow
	@$(BIN)/python tests/bench/bench_scale.py --mlflow

fuzz: $(STAMP) ## Send every RPC random and spoilt messages, 100,000 in all, and print what was answered
	@MODELKEEP_TEST_FUZZ_MESSAGES=$${MESSAGES:-100000} MODELKEEP_TEST_FUZZ_SEED=$${SEED:-$$(date +%s)} \
		$(BIN)/python -m pytest tests/fuzz -q -s

# Asks the index's advisories about each locked version; --strict: what cannot be asked about fails.
audit: $(STAMP) ## Look for known vulnerabilities in the locked packages (needs the internet)
	@$(BIN)/uv tool run pip-audit --strict --disable-pip --require-hashes -r deploy/requirements.lock

e2e: $(STAMP) ## Run the documentation's commands, everything over MinIO (both need go), an import from MLflow
	@$(BIN)/python -m pytest tests/e2e

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-package modelkeep --custom-compile-command "make lock" pyproject.toml

lock: $(STAMP) ## Resolve the dependencies again
	@$(LOCK) --all-extras --group dev -o deploy/requirements.lock
	@echo 'setuptools>=77' | $(LOCK) - --extra server -c deploy/requirements.lock -o deploy/requirements-server.lock

clean: ## Remove everything that was built
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
