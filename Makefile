PORT ?= 8501
HOST ?= 127.0.0.1
PYTHON ?= python3
# Tests side by side: one process a core, each of one thread; more than 8 would only load torch once more.
WORKERS ?= logical
BIN := .venv/bin
# Threads that spin while they wait make every neighbour slow, a training beside the dashboard for one.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: app test bench screenshots clean

app: .venv/installed  ## serve the dashboard
	@$(BIN)/python -m app --port $(PORT) --host $(HOST)

test: .venv/installed  ## every check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not browser" -n $(WORKERS) --maxprocesses 8 --dist loadgroup --durations 15
	$(BIN)/pytest tests/e2e -n $(WORKERS) --maxprocesses 4 --durations 5

bench: .venv/installed  ## our times beside other people's; on a quiet machine
	$(BIN)/python -m lsp_core bench --out results/bench.md --json results/bench.json

screenshots: .venv/installed  ## the pictures of the README, from the real app
	$(BIN)/python docs/screenshots.py

.venv/installed: requirements.txt pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "LSP Lab needs Python 3.11 or newer; name one with PYTHON=")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing what LSP Lab needs into .venv; the first time this takes some minutes."
	@$(BIN)/pip install -qq --disable-pip-version-check -r requirements.txt
	@touch $@

clean:  ## remove what make made
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache
