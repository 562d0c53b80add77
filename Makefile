# make demo: everything from nothing to a picture. make test: everything from nothing to a verdict.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# Python compiles what it imports; pip would compile all of torch, which takes longer than to unpack it.
PIP    := $(BIN)/python -m pip install -q --disable-pip-version-check --no-compile -c constraints.txt

# Tests and commands start hundreds of interpreters: what is compiled once is kept.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-all lint check bench bench-gpu docs clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch numpy
	$(PIP) -e '.[verify,hosts,fit,train,pages,fast,test,lint]'
	# Only its sampling.py is used; its other needs are a training stack.
	$(PIP) --no-deps k-diffusion==0.1.1.post1
	touch $@

# What the demo needs and no more: no diffusers, no tests.
$(VENV)/.demo: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch numpy
	$(PIP) -e '.[demo]'
	touch $@

demo: $(VENV)/.demo
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m solvergen demo --out demo

test: $(READY)
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -n 2 --dist worksteal -m 'not nightly'

test-all: $(READY)
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: $(READY)
	$(BIN)/solvergen generate --check

# A few seconds: whether the benchmarks run, and ratios on the smallest state.
bench: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/measure.py --quick

# On a machine with a GPU: its tests, then a table of what runs cost there. Elsewhere it says so.
bench-gpu: $(READY)
	timeout 90 $(BIN)/python -m pytest tests/hosts/test_captured.py -rs
	$(BIN)/python tests/benchmarks/device.py --out bench-gpu.md

# The site, with the explorer and the gallery, in build/site. Every example on it is run.
docs: $(READY)
	mkdir -p build
	$(PIP) -e '.[docs]'
	$(BIN)/solvergen explore --out docs/explore.html
	$(BIN)/solvergen gallery --html docs/gallery.html
	$(BIN)/solvergen frontier --data docs/assets/frontier.json docs/assets/frontier-fashion.json --html docs/frontier-page.html
	$(BIN)/solvergen demo --out build/demo > build/demo.txt && cp build/demo/demo.png docs/demo.png
	PATH="$(CURDIR)/$(BIN):$$PATH" COLUMNS=100 NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) demo
