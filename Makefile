# Everything a fresh machine needs is python3 (3.11 or newer) and make: `make demo`, `make test`, `make help`.
#
#   make test PYTHON=python3.13 VENV=.venv-3.13     another interpreter, beside the usual environment
#   make demo ARGS="--no-serve"                     options of `pitstop demo`
#   make test ARGS="--no-skips"                     options of scripts/check.py

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

BIN := $(VENV)/bin
# The lock holds hashes: an altered package is refused. No version check: pip itself is locked.
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
KERNEL := $(wildcard hatch_build.py src/pitstop/statistics/*.c src/pitstop/statistics/*.h)
# What the build needs, but without the network and without a second resolution.
BUILD := --no-deps --no-build-isolation

.PHONY: help demo test lint types layers tests bench reference pictures screenshots lock format wheel mlflow peers oldest test-oldest clean
.DEFAULT_GOAL := help

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.served ## the whole loop on 22 months of real bookings, then its pages in a browser
	$(BIN)/pitstop demo $(ARGS)

test: $(VENV)/.development ## lint, types, layers, then all tests
	$(BIN)/python scripts/check.py $(ARGS)

lint types layers tests: $(VENV)/.development ## one part of `make test`
	$(BIN)/python scripts/check.py --only $@ $(ARGS)

bench: $(VENV)/.development ## the benchmarks that exist; ARGS="NAME --quick" runs one
	$(BIN)/python -m benchmarks $(ARGS)

reference: $(VENV)/.development ## write docs/reference anew from the code
	$(BIN)/python scripts/reference.py

pictures: $(VENV)/.installed ## draw the README's picture anew from the demo; ARGS=demo-home uses a finished one
	$(BIN)/python scripts/pictures.py $(ARGS)

screenshots: $(VENV)/.served ## photograph all pages for the documentation; ARGS=demo-home uses a finished demo
	$(PIP) install --require-hashes -r requirements/browser.txt
	$(BIN)/python scripts/screenshots.py $(ARGS)

format: $(VENV)/.development ## format the code and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(VENV)/.installed ## build dist/*.whl
	$(PIP) wheel $(BUILD) --wheel-dir dist .

lock: $(VENV)/.uv/bin/uv ## resolve requirements/*.txt anew; ARGS="--upgrade" takes newer versions
	PATH="$(abspath $(VENV))/.uv/bin:$$PATH" $(BIN)/python scripts/lock.py $(ARGS)

mlflow: $(VENV)/peers/mlflow/bin/mlflow ## the MLflow server that some tests start (850 MB)

peers: $(VENV)/peers/node_modules/.bin/s3rver ## the S3-compatible server that some tests start (needs npm)

test-oldest: ## the default tests with the oldest versions that pyproject.toml admits
	$(MAKE) oldest VENV=.venv-oldest

# tests/project is about the checkout and its tools, not about versions.
oldest: $(VENV)/.oldest
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal --ignore=tests/project $(ARGS)

clean: ## remove everything that make made, but not the environment
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -f src/pitstop/statistics/_kernels*.so src/pitstop/statistics/_kernels*.dylib $(VENV)/.installed

# --- the environment: each stamp says that one lock file is installed as it stands ---

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Pitstop needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ": name another one, as in: make PYTHON=python3.11")'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments here: install that part of it (Debian and Ubuntu: apt-get install python3-venv), then run make again." >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: requirements/run.txt requirements/build.txt requirements/compiler.txt pyproject.toml $(KERNEL) | $(VENV)/.made
	@echo "Installing the pinned packages into $(VENV) (about a minute)"
	@$(PIP) install --require-hashes -r requirements/build.txt -r requirements/run.txt
	@for cc in cc gcc clang; do echo '#include <stdlib.h>' | $$cc -x c -c -o /dev/null - 2>/dev/null && exit 0; done; \
	echo "No C compiler here: installing one (ziglang) into $(VENV) to build the kernels"; \
	$(PIP) install --require-hashes -r requirements/compiler.txt
	@$(PIP) install $(BUILD) --editable .
	@touch $@

$(VENV)/.served: requirements/served.txt $(VENV)/.installed
	@echo "Installing what serves the pages into $(VENV) (47 MB)"
	@$(PIP) install --require-hashes -r requirements/served.txt
	@touch $@

$(VENV)/.development: requirements/dev.txt $(VENV)/.installed
	@echo "Installing the pinned test and lint packages into $(VENV)"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.oldest: requirements/oldest.txt pyproject.toml $(KERNEL) | $(VENV)/.made
	@echo "Installing the oldest supported packages into $(VENV)"
	@$(PIP) install --require-hashes -r requirements/oldest.txt
	@$(PIP) install $(BUILD) --editable .
	@touch $@

# In a folder of its own below the environment, where the tests look for it.
$(VENV)/peers/mlflow/bin/mlflow: requirements/mlflow.txt | $(VENV)/.made
	@$(PYTHON) -m venv $(VENV)/peers/mlflow
	@$(VENV)/peers/mlflow/bin/python -m pip -qq --disable-pip-version-check install --require-hashes -r requirements/mlflow.txt
	@touch $@

$(VENV)/peers/node_modules/.bin/s3rver: | $(VENV)/.made
	@mkdir -p $(VENV)/peers
	@npm install --silent --no-audit --no-fund --ignore-scripts --prefix $(VENV)/peers s3rver@3.7.1

$(VENV)/.uv/bin/uv: | $(VENV)/.made
	@$(PYTHON) -m venv $(VENV)/.uv
	@$(VENV)/.uv/bin/python -m pip --disable-pip-version-check -qq install "uv>=0.8"
