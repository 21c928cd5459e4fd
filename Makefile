# make          the environment, then the default study (STUDY=name for another one)
# make test     the tests
# make venv     the environment alone
# make lock     resolve requirements.in again (needs uv)

PYTHON ?= python3
STUDY ?= quick
CORES ?= all
BIN := .venv/bin
# Rules call `python`: it must be the environment's.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: all venv test lock clean

all: venv
	@snakemake --profile profiles/local --cores $(CORES) --config 'studies=[$(STUDY)]'
	@python -m saggiatore summary --numbers results/$(STUDY)/numbers.json

venv: .venv/.complete

.venv/.complete: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("Saggiatore needs Python 3.11 or newer, this is %d.%d; try make PYTHON=python3.11" % v[:2])'
	@echo "Creating .venv from requirements.txt (about a minute)"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

test: venv
	@python -m pytest

lock:
	uv pip compile --universal --fork-strategy fewest --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-header --no-annotate --python-version 3.11 requirements.in -o requirements.txt

clean:
	rm -rf results .snakemake
