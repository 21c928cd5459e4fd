# make          the environment, then the default study (STUDY=name for another one, or for a group of config/config.yaml)
# make test     the tests; make test-thorough runs those that take long: large compilations, the type checker
# make test-cluster   the cluster profile on a Slurm that the tests start (root, Debian's slurm packages)
# make test-environments   the conda environments, built, and the oracle study in them
# make venv     the environment alone
# make lock     resolve requirements.in again (needs uv)

PYTHON ?= python3
STUDY ?= quick
CORES ?= all
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Rules call `python`: it must be the environment's.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: all venv test test-thorough test-cluster test-environments lock clean

all: venv
	@snakemake --profile profiles/local --cores $(CORES) --config 'studies=[$(STUDY)]'
	@python -m saggiatore summary --study $(STUDY)

venv: .venv/.complete

.venv/.complete: requirements.txt requirements-installer.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("Saggiatore needs Python 3.11 or newer, this is %d.%d; try make PYTHON=python3.11" % v[:2])'
	@echo "Creating .venv from requirements.txt"
	@$(PYTHON) -m venv --clear .venv
	@$(PIP) install --quiet --require-hashes -r requirements-installer.txt
	@# uv installs in seconds; it does not read pip's configuration, so a site with a mirror of its own falls back to pip
	@# bytecode once, here: where PYTHONDONTWRITEBYTECODE is set every job would compile jax again, for five seconds
	@$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.txt \
		|| $(PIP) install --require-hashes -r requirements.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

test: venv
	@python -m pytest -n 2 --dist loadfile -m "not workflow and not thorough and not cluster and not environments"
	@python -m pytest -m "workflow and not thorough"

test-thorough: venv
	@python -m pytest -n 2 --dist loadfile -m thorough --durations 40

test-cluster: venv
	@python -m pytest -m cluster -rs tests/workflow/test_slurm.py

test-environments: venv
	@python -m pytest -m environments tests/workflow/test_environments.py

lock:
	uv pip compile --universal --fork-strategy fewest --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-header --no-annotate --python-version 3.11 requirements.in -o requirements.txt
	echo uv | uv pip compile --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-header --no-annotate --python-version 3.11 - -o requirements-installer.txt

clean:
	rm -rf results .snakemake
