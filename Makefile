# What a person or CI calls. `make demo` and `make test` do all the set-up they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SYSTEM_PACKAGES := mosquitto fonts-dejavu-core fonts-droid-fallback

# Tests start some hundred processes: each would compile all of our sources anew where the environment forbids to keep that.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test lint bench soak system clean

demo: $(VENV)/.ready
	$(BIN)/aisled demo

test: $(VENV)/.ready system lint
	$(BIN)/python -m pytest -q -n logical --dist worksteal

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.ready system
	$(BIN)/python -m bench

soak: $(VENV)/.ready system
	$(BIN)/python -m pytest -q -m soak

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "aisled needs Python 3.11 or newer; set PYTHON=python3.12, say"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "cannot make a virtual environment: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

# A real broker for the tests of the uplink, fonts for the faces. Asks nobody: installs where that is allowed, else says what is missing.
system:
	@missing=""; for p in $(SYSTEM_PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	  elif sudo -n true 2>/dev/null; then sudo apt-get update -qq && sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	  else echo "please install first: apt-get install$$missing"; exit 1; fi; fi

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
