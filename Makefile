# Two commands do all set-up on a fresh machine with Python 3.11 or newer:
#   make demo    installs and runs the main job on the examples
#   make test    installs the development tools and runs every check
# And one that keeps running:
#   make live    serves the example park with a replayed feed until stopped; with CITY=1 the city, with STREETS=1 streets
# DATA=folder (or MANGROVE_DATA) runs both on the real data files; see docs/how-to/real-data.md.

PYTHON ?= python3
VENV ?= .venv
DATA ?= $(MANGROVE_DATA)
BIN := $(VENV)/bin

.PHONY: demo live test browser check format benchmarks lock clean

demo: $(VENV)/.run
	$(BIN)/mangrove demo --out out $(if $(DATA),--data "$(DATA)")

live: $(VENV)/.run
	$(BIN)/mangrove live --out out $(if $(CITY),--city) $(if $(STREETS),--streets)

test: $(VENV)/.dev browser
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MANGROVE_DATA="$(DATA)" $(BIN)/python -m pytest

# The tests of the pages need a browser: Debian's package chromium.
browser:
	@command -v chromium >/dev/null || { \
	  as_root=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  command -v apt-get >/dev/null && $$as_root apt-get update -qq && $$as_root apt-get install -y -qq --no-install-recommends chromium; \
	} || { echo "the tests of the pages need Chromium: install the package chromium" >&2; exit 1; }

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python requirements/run.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python requirements/dev.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(VENV)/.run $@

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmarks: $(VENV)/.dev
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/check.py
	$(BIN)/python benchmarks/append.py
	$(BIN)/python benchmarks/hourly_emissions.py
	$(BIN)/python benchmarks/energy.py
	$(BIN)/python benchmarks/pages.py
	$(BIN)/python benchmarks/gridding.py
	$(BIN)/python benchmarks/nowcast.py
	$(BIN)/python benchmarks/inversion.py
	$(BIN)/python benchmarks/exchange.py
	$(BIN)/python benchmarks/heat.py
	$(BIN)/python benchmarks/water_reuse.py
	$(BIN)/python benchmarks/verified_exchanges.py
	MANGROVE_DATA="$(DATA)" $(BIN)/python benchmarks/matching.py coding
	MANGROVE_DATA="$(DATA)" $(BIN)/python benchmarks/forecast.py
	MANGROVE_DATA="$(DATA)" $(BIN)/python benchmarks/grid_carbon.py
	MANGROVE_DATA="$(DATA)" $(BIN)/python benchmarks/virtual_meters.py

# The lock names pins and hashes and no host. It needs pip-tools.
lock:
	$(BIN)/pip-compile -q --upgrade --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --strip-extras --allow-unsafe --extra traffic -o requirements/run.txt pyproject.toml
	$(BIN)/pip-compile -q --upgrade --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --strip-extras --allow-unsafe --extra dev -o requirements/dev.txt pyproject.toml

clean:
	rm -rf $(VENV) out .mypy_cache .pytest_cache .ruff_cache .hypothesis
