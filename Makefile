# The developer interface. On a machine with Python 3.11+ and make, from a fresh clone:
#   make serve    serves on http://localhost:8000 with the bundled model
#   make test     runs the tests
# Overridable: PYTHON (interpreter for the environment), VENV, PORT, ARGS and
# the other names below.

VENV   ?= .venv
PORT   ?= $(or $(CHROMASERVE_PORT),8000)
IMAGE  ?= chromaserve
BENCH  ?= serving
PHOTOS ?= photos
RUNS   ?= runs
WEIGHTS ?= $(RUNS)/whole/last.npz
ARGS   ?=

# TensorFlow has wheels for these versions of Python only.
MIN_PYTHON := 11
MAX_PYTHON := 13
SUPPORTED  := import sys; sys.exit(not ((3, $(MIN_PYTHON)) <= sys.version_info[:2] <= (3, $(MAX_PYTHON))))

# The first interpreter of a supported version; recursive on purpose, so that it is looked for
# only when an environment has to be made.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c "$(SUPPORTED)" >/dev/null 2>&1 && echo $$p && break; done)

# Files of tests share servers; more workers would only be in each other's way. Those that take
# longest begin (tests/conftest.py), in place of those with the most tests.
PARALLEL := -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# What `make serve` installs: gpu where there is one, else base, which has no TensorFlow.
VARIANT ?= $(shell ls /dev/nvidia[0-9]* >/dev/null 2>&1 || nvidia-smi -L >/dev/null 2>&1 \
	&& echo gpu || echo base)

BIN   := $(VENV)/bin
PIP   := $(BIN)/python -m pip --disable-pip-version-check
# A lock is complete; what is imported is compiled then, and nothing else: half the time.
INSTALL  := $(PIP) install --require-hashes --no-deps --no-compile
EDITABLE := $(PIP) install --quiet --no-deps --no-build-isolation --editable .
RUN   := $(VENV)/.serve-installed-$(VARIANT)
DEV   := $(VENV)/.test-installed
BROWSERS := $(VENV)/.browsers-installed
TRAIN := $(BIN)/python -m training
# A stage of the recipe: its configuration's name, which its folder below RUNS has too.
STAGE  = --config training/configs/$(1).toml --photos $(PHOTOS) --run $(RUNS)/$(1)
CODE  := app chromaserve training docs tests benchmarks
UV    := build/lock/bin/uv
SBOM  := build/cyclonedx/bin/cyclonedx-py
ATHERIS := build/atheris
# Apart: it asks for an older typer than the command works with.
CLIENTS := build/clients/bin/openapi-python-client
# Locks beside base.lock; all that a developer needs is in dev.lock.
LOCKS := tensorflow gpu otel ray postgresql c2pa
EXTRAS := tensorflow otel ray postgresql c2pa train docs dev
PEERS := fastapi litserve bentoml ray
# setuptools installs the package itself.
LOCK  := echo setuptools | $(UV) pip compile pyproject.toml - --universal --python-version 3.$(MIN_PYTHON) \
	--generate-hashes --no-emit-index-url --no-annotate --quiet \
	--custom-compile-command "make lock"

# Compiled once: a process that has to compile what it imports takes twice as long to start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help serve test test-all coverage soak fuzz audit lint format lock train publish ablation thesis evaluate picture screenshots bench image sbom reference docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: $(RUN) ## install what is missing and serve the bundled model on PORT (8000)
	@echo "A sample:  curl -F file=@samples/grey/picos-de-europa.jpg" \
		"http://localhost:$(PORT)/colorize -o colour.png"
	@CHROMASERVE_PORT=$(PORT) exec $(BIN)/python -m app

test: $(DEV) $(BROWSERS) $(CLIENTS) ## install what is missing and run the tests but slow ones, minutes (ARGS="-k name")
	@$(BIN)/python -m pytest $(PARALLEL) -m "not slow" $(ARGS)

test-all: $(DEV) $(BROWSERS) $(CLIENTS) ## all tests, half an hour: before a release (ARGS as for test)
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

coverage: $(DEV) $(BROWSERS) $(CLIENTS) ## all tests, and what of the library and the service they run (ARGS as for test)
	@$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report=term:skip-covered $(ARGS)

soak: $(DEV) ## half an hour of mixed load on a real server: memory, descriptors, latency (ARGS="--minutes 5")
	$(BIN)/python -m benchmarks.soak $(ARGS)

fuzz: $(DEV) $(ATHERIS) ## half an hour of files that a fuzzer makes for header and decoder (ARGS=-max_total_time=60)
	@mkdir -p build/fuzz
	PYTHONPATH=$(ATHERIS) $(BIN)/python -m tests.hostile.fuzz -max_total_time=1800 $(ARGS) build/fuzz

audit: $(DEV) ## known holes in what the service runs on, by PyPI's advisories (needs the network)
	@for lock in base $(LOCKS); do \
		$(BIN)/pip-audit --strict --require-hashes --disable-pip -r requirements/$$lock.lock || exit 1; done

lint: $(DEV) ## check style, format, types and calls that open holes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml app chromaserve

format: $(DEV) ## rewrite the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(UV) ## write requirements/*.lock from pyproject.toml (ARGS=--upgrade for newer versions)
	@mkdir -p requirements
	$(LOCK) $(ARGS) $(EXTRAS:%=--extra %) -o requirements/dev.lock
	$(LOCK) $(ARGS) -c requirements/dev.lock -o requirements/base.lock
	@for extra in $(LOCKS); do \
		$(LOCK) $(ARGS) -c requirements/dev.lock --extra $$extra -o requirements/$$extra.lock \
			|| exit 1; done

train: $(DEV) ## make a model from PHOTOS by the recipe, its work in RUNS (see docs/how-to/training.md)
	test -f $(RUNS)/crops/index.csv || $(TRAIN) scan $(call STAGE,crops)
	$(TRAIN) train $(call STAGE,crops) $(ARGS)
	mkdir -p $(RUNS)/whole && cp $(RUNS)/crops/index.csv $(RUNS)/whole/
	$(TRAIN) train $(call STAGE,whole) --start $(RUNS)/crops/last.npz

publish: $(DEV) ## make WEIGHTS the next version of the bundled model, measured on PHOTOS
	$(TRAIN) publish $(WEIGHTS) --photos $(PHOTOS) $(ARGS)

ablation: $(DEV) ## measure what each step of the recipe brings, write docs/measurements/ablation.md (PHOTOS, ARGS)
	test -f $(RUNS)/ablation/index.csv || $(TRAIN) scan $(call STAGE,ablation)
	$(TRAIN) ablation $(call STAGE,ablation) $(ARGS)

thesis: $(DEV) ## train and measure the thesis's four models, write docs/measurements/thesis.md (PHOTOS, ARGS)
	$(TRAIN) thesis $(call STAGE,thesis) $(ARGS)

evaluate: $(DEV) ## measure the bundled model on PHOTOS, or another (ARGS="--store FOLDER")
	$(TRAIN) evaluate $(PHOTOS) $(ARGS)

picture: $(DEV) ## draw the results picture of the README from the sample photos
	$(TRAIN) evaluate samples/colour --out runs/picture --sheet-photos 8
	mkdir -p docs/images && cp runs/picture/contact_sheet.png docs/images/results.png

screenshots: $(DEV) $(BROWSERS) ## picture the page for the documentation, docs/images/page*.jpg
	$(BIN)/python -m tests.page.screenshots $(ARGS)

bench: $(DEV) $(if $(filter serving,$(BENCH)),$(PEERS:%=build/peers/%/.installed)) ## compare with other servers, write docs/measurements/benchmarks.md (ARGS=--quick; BENCH=overload and others)
	$(BIN)/python -m benchmarks.$(BENCH) $(ARGS)

image: ## build the container image IMAGE (ARGS="--build-arg VARIANT=tensorflow")
	docker build -t $(IMAGE) $(ARGS) .

reference: $(DEV) ## renew the generated parts of the documentation
	$(BIN)/python -m docs.generator

docs: $(DEV) ## build the documentation as a site, build/site (ARGS=serve shows it as you write)
	$(BIN)/python -m mkdocs $(or $(ARGS),build --strict)

sbom: $(SBOM) ## write bills of materials of the images, CycloneDX JSON, to build/sbom
	@mkdir -p build/sbom
	@for lock in base $(LOCKS); do \
		PYTHONWARNINGS=ignore $(SBOM) requirements --pyproject pyproject.toml --mc-type application \
			--output-reproducible --output-format JSON --spec-version 1.6 --validate \
			--output-file build/sbom/$$lock.cdx.json requirements/$$lock.lock || exit 1; done

clean: ## remove the environment, builds and caches (never runs/ or cache/)
	rm -rf $(VENV) build dist *.egg-info .coverage* .pytest_cache .mypy_cache .ruff_cache
	find $(CODE) -type d -name __pycache__ -prune -exec rm -rf {} +

# A stamp says what its environment was installed from; a changed lock or pyproject renews it.
# With an NVIDIA GPU TensorFlow serves, with CUDA's libraries.
$(RUN): requirements/base.lock requirements/tensorflow.lock requirements/gpu.lock pyproject.toml setup.py | $(BIN)/pip
	$(INSTALL) --only-binary ncnn -r requirements/$(VARIANT).lock && $(BIN)/python -c "import ncnn" || { \
		echo "ncnn, the CPU engine, cannot be had here: TensorFlow takes its place"; \
		sed '/^ncnn==/,/[^\\]$$/d' requirements/$(VARIANT:base=tensorflow).lock | $(INSTALL) -r /dev/stdin; }
	$(EDITABLE)
	@rm -f $(VENV)/.serve-installed-*
	@touch $@

$(DEV): requirements/dev.lock pyproject.toml setup.py | $(BIN)/pip
	$(INSTALL) -r requirements/dev.lock
	$(EDITABLE)
	@touch $@

# Browsers for the tests of the page: what is installed, Debian's where apt may bring them, or
# Playwright's own Chromium. Without a Firefox its tests are skipped.
$(BROWSERS): $(DEV) tests/page/browser.py
	@for kind in chromium firefox; do \
		$(BIN)/python -m tests.page.browser $$kind || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
			&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
			--no-install-recommends $$(echo $$kind | sed s/firefox/firefox-esr/) >/dev/null; } \
			|| [ $$kind = firefox ] || $(BIN)/python -m playwright install chromium || exit 1; done
	@touch $@

# The last file that venv writes: a half-made environment is made anew.
$(BIN)/pip:
	@if [ -z "$(PYTHON)" ] || ! "$(PYTHON)" -c "$(SUPPORTED)" 2>/dev/null; then \
		echo "chromaserve needs Python 3.$(MIN_PYTHON) to 3.$(MAX_PYTHON); found: $$("$(or $(PYTHON),python3)" -V 2>&1)" >&2; \
		echo "Install one, or name it: make $(or $(MAKECMDGOALS),serve) PYTHON=/path/to/python3.12" >&2; exit 1; fi
	@"$(PYTHON)" -c "import venv, ensurepip" 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments: its venv or ensurepip module is missing." >&2; \
		echo "Debian and Ubuntu: apt install python3-venv; then run make again." >&2; exit 1; }
	"$(PYTHON)" -m venv --clear $(VENV)

# The servers that chromaserve is compared with, one environment each, on the versions of the lock
# where what they compute with is concerned.
build/peers/%/.installed: benchmarks/peers/requirements/%.txt requirements/dev.lock | $(UV)
	$(UV) venv --quiet --clear --python $(BIN)/python $(@D)
	@grep -hE '^(tensorflow|ncnn|numpy|opencv-python-headless|pydantic-settings|scipy|fastapi|uvicorn)==' \
		requirements/dev.lock | tr -d '\\' > $(@D)/versions.txt
	$(UV) pip install --quiet --python $(@D)/bin/python -c $(@D)/versions.txt -r $< \
		tensorflow ncnn numpy opencv-python-headless scipy pydantic pydantic-settings
	@touch $@

$(UV):
	@$(MAKE) --no-print-directory $(BIN)/pip
	$(BIN)/python -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check "uv>=0.5"

# In no lock: it has wheels for few platforms.
$(ATHERIS): | $(UV)
	$(UV) pip install --quiet --python $(BIN)/python --target $@ atheris

# Where it cannot be had, its test is skipped.
$(CLIENTS):
	@$(MAKE) --no-print-directory $(BIN)/pip
	@$(BIN)/python -m venv build/clients
	@build/clients/bin/python -m pip install --quiet --disable-pip-version-check \
		"openapi-python-client>=0.25,<0.30" || rm -rf build/clients

# Apart from the service, whose dependencies it lists.
$(SBOM): | $(UV)
	$(UV) venv --quiet --clear --python $(BIN)/python build/cyclonedx
	$(UV) pip install --quiet --python build/cyclonedx/bin/python "cyclonedx-bom[validation]>=7,<8"
