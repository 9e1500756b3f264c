# make run | app | test | test-slow | lint | docs | bench | bench-sae | bench-images | clean; each first builds .venv from
# requirements.lock, once. PYTHON=python3.12 chooses the interpreter of .venv.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
DOCS_READY := $(VENV)/.docs-installed
FIND_PYTHON := for python in $(PYTHON) python3.11 python3.12 python3.13 python3; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$python; break; fi; done
CONFIG ?= conf.yaml
ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: run app test test-slow lint docs bench bench-sae bench-images clean

run: $(READY)
	$(BIN)/python run_experiments.py --config $(CONFIG) $(ARGS)

app: $(READY)
	$(BIN)/python app/main.py $(ARGS)

test test-slow: export OMP_NUM_THREADS := 1
test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" $(ARGS)

test-slow: $(READY)
	$(BIN)/python -m pytest -n 2 --dist load -m slow $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(DOCS_READY)
	$(BIN)/python docs/generate_configuration.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open site/index.html"

bench: $(READY)
	$(BIN)/python benchmarks/run.py $(ARGS)

bench-sae: $(READY)
	OMP_WAIT_POLICY=PASSIVE HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/sae.py $(ARGS)

bench-images: $(READY)
	OMP_WAIT_POLICY=PASSIVE HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/images.py $(ARGS)

clean:
	rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find output -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +
	find src app tests -name __pycache__ -type d -prune -exec rm -rf {} +

# torch goes first and brings what its build needs (CUDA libraries, or none); the lock pins all else.
$(READY): requirements.lock pyproject.toml
	@python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ]; then echo "requirements.lock needs Python 3.11 or later on the PATH" >&2; exit 1; fi; \
	echo "creating $(VENV) with $$python"; $$python -m venv --clear $(VENV)
	$(BIN)/pip install --quiet "$$(grep '^torch==' requirements.lock)"
	$(BIN)/pip install --quiet --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# The packages that build the site, beside those of requirements.lock; only `make docs` needs them.
$(DOCS_READY): $(READY) requirements-docs.lock
	$(BIN)/pip install --quiet --no-deps -r requirements-docs.lock
	@touch $@
