# Works on a fresh machine with make and Python 3.11 or newer: every target makes .venv itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTHONS ?= python3.11 python3.12 python3.13 python3.14
TESTS ?=
PIP := $(BIN)/python -m pip install --quiet -c constraints.txt

.PHONY: search test test-pythons slow gpu lint bench gpu-bench faults mutants constraints reference site notebook newcomer
.DELETE_ON_ERROR:

search: $(VENV)/.hnas  ## a first search: distributions on digits
	$(BIN)/hnas search --stage 1

test: $(VENV)/.hnas-dev  ## a process a core; a file's tests stay together, as they share what is slow to make
	$(BIN)/pytest -n auto --dist loadfile $(TESTS)

# PYTHONS="python3.13 /path/to/python" says which, TESTS=tests/hnas what of them, TORCH=2.6.0 with which torch.
test-pythons:  ## the tests with each Python that is here, in environments of their own
	@for python in $(PYTHONS); do \
		$$python -c '' 2>/dev/null || { echo "$$python is not here"; continue; }; \
		at=.venv-$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])')$(TORCH:%=-torch-%); \
		$(MAKE) PYTHON=$$python VENV=$$at $$at/.hnas-dev || exit; \
		$(if $(TORCH),$$at/bin/python -m pip install --quiet torch==$(TORCH) || exit;) \
		$(MAKE) PYTHON=$$python VENV=$$at test || exit; \
	done

slow: $(VENV)/.hnas-dev
	$(BIN)/pytest -m "slow and not gpu"

gpu: $(VENV)/.hnas-dev
	$(BIN)/pytest -m gpu

lint: $(VENV)/.hnas-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.hnas-dev  ## how fast it is, in benchmarks/results; see docs/performance.md
	$(BIN)/python -m benchmarks.speed.cpu
	$(BIN)/python -m benchmarks.speed.memory --json benchmarks/results/memory.json
	$(BIN)/python -m benchmarks.speed.growth --json benchmarks/results/growth.json
	$(BIN)/python -m benchmarks.speed.profile_search --json benchmarks/results/profile_search.json

mutants: $(VENV)/.hnas-dev  ## small faults put into the core, one at a time: the tests must notice 95%
	$(BIN)/python -m tests.mutants

faults: $(VENV)/.hnas-dev  ## kills and other faults in real searches: docs/reliability.md
	$(BIN)/python -m tests.faults
	$(BIN)/pytest tests/studies/trials/test_patience.py tests/hnas/data/sources/test_folders.py tests/cli/commands/test_secrets.py

gpu-bench: $(VENV)/.hnas-dev  ## the same of a GPU, in under ten minutes: benchmarks/results/gpu.json
	$(BIN)/python -m benchmarks.speed.gpu

site: $(VENV)/.hnas-dev  ## the documentation, in build/site/index.html
	$(BIN)/python -m tests.support.site

notebook: $(VENV)/.hnas-dev  ## docs/example.ipynb with its outputs; minutes, or seconds beside a finished runs/digits
	$(PIP) -e ".[notebook]"
	$(BIN)/python -m tests.support.notebook .

newcomer: $(VENV)/.hnas-dev  ## docs/digits.md: what a newcomer types, with the seconds of each step
	$(BIN)/python -m tests.support.newcomer

reference: $(VENV)/.hnas  ## docs/cli.md, the help of every command
	$(BIN)/python -m tests.support.reference > docs/cli.md

# Pins what is installed now; a local build such as torch 2.13.0+cpu counts as its release.
constraints: $(VENV)/.hnas-dev
	$(BIN)/python -m pip list --format=freeze --exclude-editable --exclude hnas --exclude pip \
		| sed 's/+.*//' > constraints.txt

$(VENV)/.hnas: pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) -e .
	touch $@

$(VENV)/.hnas-dev: pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) -e ".[dev]"
	$(PIP) --no-deps timm  # it asks for torchvision, which the tests stand in for
	touch $@

# pip is the last thing that venv installs: where it is there, .venv is whole.
$(BIN)/pip:
	@command -v $(PYTHON) >/dev/null || { \
		echo "hnas needs Python 3.11 or newer; $(PYTHON) is not on the PATH." \
			"Install it, or name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = "%d.%d" % sys.version_info[:2]; sys.exit( \
		"hnas needs Python 3.11 or newer; $(PYTHON) is " + v + \
		". Name a newer one: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
