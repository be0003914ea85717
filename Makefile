# Two commands on a fresh machine: `make demo` and `make test`. `make help` lists the rest.
VENV ?= .venv
PYTHON ?= python3.11
PY := $(VENV)/bin/python
STAMP := $(VENV)/.nunatak-installed
CHECKED := $(VENV)/.nunatak-check-installed
MODULES := pipelines/viewer/node_modules/.package-lock.json
BENCHMARKS := reading harmonics combination monte_carlo zonal gates scenes segmentation restoration pool scaling

.DEFAULT_GOAL := help
.PHONY: help install demo test long lint secrets secrets-baseline audit check modules viewer browser bench notebook clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

install: $(STAMP)  ## make the virtual environment

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	touch $@

$(CHECKED): $(STAMP)
	$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test,check]'
	touch $@

demo: $(STAMP)  ## measure a small synthetic Antarctica whose truth is known
	$(VENV)/bin/nunatak demo

# Two at a time, a file each: tests of servers, kills and demos wait more than they compute. Files in
# their order: sorted by their number of tests, the longest tests would come last and run alone.
TESTERS ?= 2

test: $(STAMP)  ## run the tests: half an hour on two cores
	$(PY) -m pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder

# One at a time: they start whole clusters, and some are about time.
long: $(STAMP)  ## run the tests of minutes each: clusters that break, 26 summers, kills of every product
	$(PY) -m pytest -m long

lint: $(CHECKED)  ## format, style, types, import layers
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	PATH="$(abspath $(VENV))/bin:$$PATH" $(VENV)/bin/lint-imports

secrets: $(CHECKED)  ## look for secrets in tracked files that nobody has looked at yet
	@$(PY) infra/secrets_scan.py

secrets-baseline: $(CHECKED)  ## take down what is found now as no secrets, after looking at each
	@$(PY) infra/secrets_scan.py --accept

audit: $(CHECKED)  ## ask for known weaknesses of the packages, where that service can be reached
	@$(PY) infra/audit.py

check: lint secrets audit test  ## everything CI runs, and what secrets and packages are told of

$(MODULES): pipelines/viewer/package-lock.json
	cd pipelines/viewer && npm ci
	touch $@

modules: $(MODULES)

viewer: $(MODULES)  ## build the map's page anew: needs Node.js 20 and a registry of npm modules
	cd pipelines/viewer && npm run build

browser: $(MODULES) $(STAMP)  ## test the page in Chromium (/usr/bin/chromium: Debian's package)
	$(PY) -m pytest tests/browser tests/pipelines/report/test_viewer_bundle.py

bench: $(STAMP)  ## throughput and memory against named peers
	@for name in $(BENCHMARKS); do $(PY) -m tests.benchmarks.$$name || exit 1; done

notebook: $(STAMP)  ## execute docs/notebooks on products in a real S3 server, and keep what it shows
	NUNATAK_KEEP_NOTEBOOK=1 $(PY) -m pytest -q -m long tests/docs/test_notebook.py

clean:  ## remove the environment, caches and the demo's output
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache nunatak-demo build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
