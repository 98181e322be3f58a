# `make demo` and `make test` do all the set-up from a fresh clone: they need Python >= 3.11 with
# its headers, a C compiler and make. Everything goes into .venv; a second call starts at once.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; \
	done; true)
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --quiet
CORE_SOURCES := $(wildcard mmats/_core/*.pyx mmats/_core/*.pxd mmats/_core/*.h strategies/*.pyx strategies/*.pxd)
COVERAGE_TREE := build/coverage

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Another tree on the path would be tested instead of this one.
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-long lint format coverage bench bench-peers wheel lock clean build setup setup-dev

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: setup ## set up, then trade a synthetic market on paper: two strategies, 150 EUR
	$(VENV)/bin/mmats demo

test: setup-dev ## set up, then run the tests
	$(PY) -m pytest

test-long: setup-dev ## the campaigns that take minutes
	$(PY) -m pytest -m long

lint: setup-dev ## ruff, mypy, cython-lint and the import contracts
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cython-lint mmats strategies
	$(VENV)/bin/lint-imports

format: setup-dev ## rewrite the Python files in the project's format
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .

# A copy of the tree is built with line tracing, so that the normal build stays as it is. The two
# oracles that run a million times take too long under tracing; unit tests reach the same lines.
coverage: setup-dev ## line coverage of mmats with its .pyx files; fails under 90 %
	rm -rf $(COVERAGE_TREE)
	mkdir -p $(COVERAGE_TREE)
	tar -cf - --exclude=./.venv --exclude=./.venv-peers --exclude=./.git --exclude=./build \
		--exclude=./dist --exclude='*.so' --exclude='./mmats/_core/*.c' --exclude=__pycache__ . \
		| tar -xf - -C $(COVERAGE_TREE)
	cd $(COVERAGE_TREE) && MMATS_TRACE=1 $(CURDIR)/$(PY) setup.py -q build_ext --inplace
	cd $(COVERAGE_TREE) && PYTHONPATH=. MMATS_SHARED_DATA="$${MMATS_SHARED_DATA:-$(CURDIR)/../shared/data}" \
		$(CURDIR)/$(PY) -m coverage run -m pytest -m 'not long and not packaging' \
		--ignore=tests/property/test_risk_oracle.py --ignore=tests/property/test_book_oracle.py
	cd $(COVERAGE_TREE) && $(CURDIR)/$(PY) -m coverage combine --quiet
	cd $(COVERAGE_TREE) && $(CURDIR)/$(PY) -m coverage report | tee coverage.txt; \
		grep -q '\.pyx ' coverage.txt || { echo 'coverage: no .pyx file in the report'; exit 1; }
	cd $(COVERAGE_TREE) && $(CURDIR)/$(PY) -m coverage report --format=total

bench: setup-dev ## the speed budgets, as ratios of interleaved runs
	$(PY) -m pytest benchmarks -s -o python_files='bench_*.py' --benchmark-disable-gc --benchmark-columns=min,median,mean,ops

bench-peers: setup-dev .venv-peers/.stamp ## other engines on the same data, in an environment of their own
	$(PY) -m benchmarks.peers --python .venv-peers/bin/python

wheel: setup-dev ## sdist and wheel into dist/
	$(PY) -m build --no-isolation --outdir dist

lock: setup ## pin the dependencies again, after a change in pyproject.toml
	$(PIP) uv
	$(PY) -m uv pip compile -q $(LOCK) --group build pyproject.toml -o requirements/runtime.txt
	$(PY) -m uv pip compile -q $(LOCK) --group dev pyproject.toml -c requirements/runtime.txt -o requirements/dev.txt
	$(PY) -m uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header --no-annotate benchmarks/peers/requirements.in \
		-o requirements/peers.txt
LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --no-annotate --upgrade

clean: ## remove everything that was made
	rm -rf $(VENV) .venv-peers build dist out *.egg-info .benchmarks .mypy_cache .ruff_cache \
		.pytest_cache .hypothesis .import_linter_cache .coverage*
	rm -f mmats/_core/*.c mmats/_core/*.so strategies/*.c strategies/*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# -- set-up: each step leaves a stamp in the environment --------------------------------------

setup build: $(VENV)/.core
setup-dev: $(VENV)/.dev $(VENV)/.core

define CHECK_MACHINE
import os, shutil, sys, sysconfig
wrong = []
if sys.version_info < (3, 11):
    wrong.append("Python %d.%d is too old: MMATS needs 3.11 or newer (make PYTHON=/path/to/python)" % sys.version_info[:2])
try:
    import venv, ensurepip
except ImportError:
    wrong.append("Python's venv module is not complete (Debian, Ubuntu: apt-get install python3-venv)")
if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
    wrong.append("Python's headers are missing (Debian, Ubuntu: apt-get install python3-dev)")
compiler = (os.environ.get("CC") or "cc").split()[0]
if not (shutil.which(compiler) or shutil.which("gcc")):
    wrong.append("no C compiler (Debian, Ubuntu: apt-get install gcc libc6-dev)")
sys.exit("\n".join("make: " + line for line in wrong) or None)
endef
export CHECK_MACHINE

$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "make: no Python >= 3.11 found (make PYTHON=/path/to/python)" >&2; exit 1; }
	@$(PYTHON) -c "$$CHECK_MACHINE"
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements/runtime.txt | $(VENV)/.created
	$(PIP) -r requirements/runtime.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	$(PIP) -r requirements/dev.txt
	@touch $@

$(VENV)/.project: pyproject.toml setup.py mmats/__init__.py $(VENV)/.runtime
	MMATS_SKIP_CORE=1 $(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.core: $(CORE_SOURCES) setup.py $(VENV)/.project
	$(PY) setup.py -q build_ext --inplace
	@touch $@

.venv-peers/.stamp: requirements/peers.txt
	@test -n "$(PYTHON)" || { echo "make: no Python >= 3.11 found (make PYTHON=/path/to/python)" >&2; exit 1; }
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --quiet -r requirements/peers.txt
	@touch $@
