# Every target sets up what it needs in .venv: Python 3.11-3.13 with pip is all that must be there.

PYTHON ?= $(firstword $(foreach python,python3 python3.13 python3.12 python3.11 python,\
	$(shell $(python) -c 'import sys; assert (3, 11) <= sys.version_info[:2] <= (3, 13); print("$(python)")' 2>/dev/null)))
DATASET ?= ml-latest-small
PORT ?= 8000
BIN := .venv/bin
READY := .venv/ready

# Kedro's telemetry asks the network at every command.
export DO_NOT_TRACK := 1

.PHONY: help run serve test lint format data viz viz-build bench clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':[^#]*## *' '{ printf "%-10s %s\n", $$1, $$2 }'

run: $(READY)  ## the whole pipeline, on ml-latest-small where it is on disk, else on the synthetic sample
	$(BIN)/kedro run

serve: $(READY)  ## the newest models as a page and a web API: make serve DATASET=ml-32m PORT=8080
	$(BIN)/python -m movie_recs serve --dataset $(DATASET) --port $(PORT)

test: $(READY)  ## all tests, two files at a time; or some: make test ARGS="tests/data -k ties"
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(READY)  ## style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)  ## the same, mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

data: $(READY)  ## download a data set: make data DATASET=ml-32m
	$(BIN)/python -m movie_recs.data.movielens $(DATASET)

viz: $(READY)  ## the pipeline's graph in a browser
	$(BIN)/kedro viz run

# The page would wait for a font from the network.
viz-build: $(READY)  ## the same as a web site in build/, with the figures and first rows of the last run; needs no network
	rm -rf build/api build/index.html
	$(BIN)/kedro viz build --include-previews
	@sed -i.bak '/fonts\.g/d' build/index.html && rm build/index.html.bak
	@echo "To open it: $(BIN)/python -m http.server --bind 127.0.0.1 --directory build, then http://localhost:8000 in a browser"

bench: $(READY)  ## tuning, lists, whole runs by seeds and at each size, odd rows, kills, the page; takes six hours
	$(BIN)/python benchmarks/tuning.py
	$(BIN)/python benchmarks/kedro_run.py
	$(BIN)/python benchmarks/top_n.py
	$(BIN)/python benchmarks/several_seeds.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/published.py
	$(BIN)/python benchmarks/faults.py
	$(BIN)/python benchmarks/odd_rows.py
	$(BIN)/python benchmarks/your_list.py

clean:  ## remove all that runs have made, raw data apart, and the environment
	rm -rf .venv build .pytest_cache .ruff_cache .viz data/0[2-9]_* data/logs

$(READY): pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed: put one on the PATH or say make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv .venv || { \
		rm -rf .venv; $(PYTHON) -m pip install --quiet --target build/virtualenv virtualenv \
		&& PYTHONPATH=build/virtualenv $(PYTHON) -m virtualenv .venv; }  # Debian ships venv in a package of its own
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock  # pip and setuptools themselves as well
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	-@$(BIN)/python -m movie_recs.runtime.class_archive  # Java starts faster with it
	touch $@
