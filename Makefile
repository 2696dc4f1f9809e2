# Every task of Roomcast. `make` alone prints the list. Tasks install their tools below build/ and .tox/.

PYTHON ?= python3
TARGET ?= local
export TARGET
# With it, `python -m` would not find the modules of this folder.
unexport PYTHONSAFEPATH

TOX := build/tox/bin/tox
# A lock, because two runs of tox in one clone would change the same environments.
RUN_TOX = $(PYTHON) scripts/alone.py build/tox.lock $(TOX)
HARNESS := .tox/harness/bin/python
RUN = $(HARNESS) -m scripts.command

# tox searches interpreters only on PATH, where pyenv puts only one version.
comma := ,
empty :=
PYENV_ROOT ?= $(HOME)/.pyenv
PYENV_PYTHONS := $(wildcard $(PYENV_ROOT)/versions/3.1[123].*/bin/python3.1[123])
export TOX_DISCOVER ?= $(subst $(empty) $(empty),$(comma),$(PYENV_PYTHONS))

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  TARGET=local (default: an emulator of its own), localstack (yours, running),'
	@echo '  live (a deployed stage); ARGS=... goes to terraform, or to a load run'


.PHONY: demo up token down plan
demo: build require-terraform $(HARNESS) ## watch it work: emulator, apply, clients, messages, tear-down
	@$(RUN) integration_tests.demo

up: build require-terraform $(HARNESS) ## start a stack that keeps running: ARGS='-var pace=500'
	@$(RUN) scripts.local.stack up $(ARGS)

# `make -s token` prints nothing else.
token: $(HARNESS) ## print a token for that stack: ARGS='--subject bob'
	@$(RUN) scripts.local.stack token $(ARGS)

down: $(HARNESS) ## remove the stack that `make up` started
	@$(RUN) scripts.local.stack down

plan: build require-terraform $(HARNESS) ## compare the stack of `make up` with terraform/
	@$(RUN) scripts.local.stack plan $(ARGS)


.PHONY: build apply plan-account destroy outputs
build: require-python ## build one zip per handler into build/handlers/
	@$(PYTHON) scripts/build_handlers.py

# Terraform asks before it changes anything, unless ARGS has -auto-approve.
apply: build require-terraform $(HARNESS) ## apply terraform/ to your AWS account: ARGS='-var pace=500'
	@$(RUN) scripts.account
	@$(PYTHON) -m scripts.terraform -chdir=terraform init
	@$(PYTHON) -m scripts.terraform -chdir=terraform apply $(ARGS)

plan-account: build require-terraform $(HARNESS) ## print the changes that `make apply` would make
	@$(RUN) scripts.account
	@$(PYTHON) -m scripts.terraform -chdir=terraform init
	@$(PYTHON) -m scripts.terraform -chdir=terraform plan $(ARGS)

destroy: build require-terraform $(HARNESS) ## destroy the stack of `make apply` in your AWS account
	@$(RUN) scripts.account
	@$(PYTHON) -m scripts.terraform -chdir=terraform init
	@$(RUN) scripts.account --same-region
	@$(PYTHON) -m scripts.terraform -chdir=terraform destroy $(ARGS)

outputs: require-terraform ## write the outputs of `make apply` to outputs.json
	@$(PYTHON) -m scripts.terraform outputs '$(or $(OUTPUTS),outputs.json)'


# Tests and checks: tox runs each in its own environment.
.PHONY: test lint sbom audit types unit fuzz terraform integration test-faults test-mutants test-long format
# The longest come first. Most of them wait more than they compute, so that three run side by side on two cores.
# The harness is installed before: as one of the parts, tox would take those that need it last.
# Handlers are tested on each Python, scripts on the one of make (once) and, where that is another one, on the newest.
OF_SCRIPTS = $(shell $(PYTHON) -c 'import sys; print("" if sys.version_info[:2] == (3, 13) else "-scripts")')
TEST_PARTS = integration-recovery,integration-own,integration-identity,integration-stage$(BRIEF_PARTS)
BRIEF_PARTS = ,py313-handlers$(OF_SCRIPTS),py312-handlers,py311-handlers,once,terraform,checkov,types,lint,sbom
# tox skips Pythons that are not installed, but not make's: where that one is none of these three, it comes besides.
OTHER_PYTHON = $(shell $(PYTHON) -c 'import sys; print("" if (3, 11) <= sys.version_info < (3, 14) else ",py3$(1)")')
# Beside each other, and on noisy processors, the parts wait longer than each would alone.
test: export TIMEOUT_FACTOR ?= 3
test: require-terraform $(HARNESS) ## run every test that needs no AWS, lint and sbom included
	@$(RUN_TOX) run-parallel -q -p 3 -e $(TEST_PARTS)$(call OTHER_PYTHON,-handlers)

lint: require-terraform $(TOX) ## ruff, route table, docs, terraform fmt, zizmor, checkov
	@$(RUN_TOX) run -q -e lint,checkov

sbom: $(TOX) ## a bill of materials for each zip into build/sbom/
	@$(RUN_TOX) run -q -e sbom

audit: $(TOX) ## known vulnerabilities of the packages in lock files
	@$(RUN_TOX) run -q -e audit

types: $(TOX) ## mypy, strict
	@$(RUN_TOX) run -q -e types

unit: $(TOX) ## unit tests on make's Python, and 3.11-3.13 where installed
	@$(RUN_TOX) run -q -e py311,py312,py313$(call OTHER_PYTHON)

# No time limit: it would end a property, not a test that hangs.
fuzz: $(TOX) ## arbitrary input for every handler: CASES=20000 per property
	@FUZZ_CASES=$(or $(CASES),20000) $(RUN_TOX) run -q -e py3 -- handlers/tests -m fuzz --timeout=0

terraform: require-terraform $(TOX) ## validate and test all Terraform modules, providers mocked
	@$(RUN_TOX) run -q -e terraform

integration: require-terraform $(TOX) ## real WebSocket connections against TARGET
	@$(RUN_TOX) run -q -e integration

test-faults: require-terraform $(TOX) ## faults between the functions and AWS; takes minutes
	@$(RUN_TOX) run -q -e integration -- integration_tests/faults

test-mutants: require-terraform $(TOX) ## break the code on purpose: tests must fail; takes minutes
	@$(RUN_TOX) run -q -e integration -- integration_tests/mutants

test-long: require-terraform $(TOX) ## the tests that `make test` leaves out: faults, mutants, load
	@HISTORY_ORDERS=100000 PRESENCE_ORDERS=6000 $(RUN_TOX) run -q -e py3 -- handlers/tests/test_orders.py handlers/tests/test_presence_orders.py --timeout=0
	@$(RUN_TOX) run -q -e integration -- -m long integration_tests scripts/local

format: require-terraform $(TOX) ## format Python and Terraform, write the generated docs
	@$(RUN_TOX) run -q -e format


.PHONY: bench load
bench: $(TOX) ## CPU per message, time until it arrives, beside AWS's SDKs
	@$(RUN_TOX) run -q -e bench

load: build require-terraform $(HARNESS) ## thousands of clients, every message accounted for
	@$(RUN) integration_tests.load run $(STAGE) $(ARGS)

cli: $(HARNESS) ## the command roomcast: ARGS='cost --help'
	@PYTHONPATH=scripts/client:scripts/cli:handlers $(HARNESS) -m roomcast_cli $(ARGS)


# A deployed stage is given by its URL, or by Terraform's outputs, which also give access to the table.
STAGE = $(if $(URL),--websocket-url '$(URL)') $(if $(OUTPUTS),--outputs '$(OUTPUTS)')

.PHONY: test-live bench-live nightly require-stage
test-live: require-stage $(TOX) ## test a deployed stage: URL=wss://... or OUTPUTS=<file>
	@$(RUN_TOX) run -q -e integration -- -m 'not long' integration_tests --target live $(STAGE)

bench-live: require-stage $(HARNESS) ## latency of a message in a room of that stage
	@$(RUN) integration_tests.load bench --target live $(STAGE) $(ARGS)

nightly: test-live $(HARNESS) ## test-live, then a load run on that stage
	@$(RUN) integration_tests.load run --target live $(STAGE) $(ARGS)

require-stage:
	@test -n '$(URL)$(OUTPUTS)' || { echo 'make: name the stage: URL=wss://..., or OUTPUTS=outputs.json, which `make outputs` writes' >&2; exit 2; }


# Nothing is pushed. CHECKS='...' runs other checks than `make test` before the tag. REGISTRY=<path> commits the release to
# a bare clone of the repository that a Terraform registry reads, too.
.PHONY: release verify-release publish
release: require-python ## tag the commit with its zips: VERSION=X.Y.Z
	@$(PYTHON) -m scripts.release make '$(VERSION)' $(if $(CHECKS),--checks '$(CHECKS)') $(if $(REGISTRY),--registry '$(REGISTRY)') $(ARGS)

verify-release: require-python ## build a release again, compare: VERSION=X.Y.Z
	@$(PYTHON) -m scripts.release verify '$(VERSION)' $(ARGS)

publish: build $(HARNESS) ## upload the zips: BUCKET=... [PREFIX=...] [VERSION=X.Y.Z]
	@test -n '$(BUCKET)' || { echo 'make: name an existing bucket, or several: BUCKET=...' >&2; exit 2; }
	@$(RUN) scripts.release.publish $(BUCKET) $(if $(PREFIX),--prefix '$(PREFIX)') $(if $(VERSION),--release '$(VERSION)') $(ARGS)


.PHONY: clean
clean: $(if $(wildcard build/stack),require-python) ## remove the stack of `make up`, and everything generated
	@if [ -e build/stack ]; then $(PYTHON) scripts/alone.py build/stack.lock \
	    $(PYTHON) -m scripts.command scripts.local.ending build/stack; fi
	rm -rf build .tox .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +


GET_PYTHON = Roomcast needs Python >= 3.11: get it from https://www.python.org/downloads/, or name an interpreter: \
make PYTHON=python3.13 ...

.PHONY: require-python require-terraform
require-python:
	@command -v '$(PYTHON)' > /dev/null || { echo 'make: $(PYTHON) is not on PATH; $(GET_PYTHON)' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "make: $(PYTHON) is Python %d.%d; $(GET_PYTHON)" \
	    % sys.version_info[:2])'

require-terraform: require-python
	@$(PYTHON) -m scripts.terraform find > /dev/null

# Environments work only in the place and with the Python in which they were made; others are made again.
$(TOX): require-python
	@$(PYTHON) scripts/install_tox.py --check build/tox || \
	    $(PYTHON) scripts/alone.py build/tox.lock $(PYTHON) scripts/install_tox.py build/tox .tox

$(HARNESS): .tox/harness/up-to-date $(TOX)
	@$(HARNESS) -c 'import importlib.util as u, sys; sys.exit(u.find_spec("pytest") is None)' 2> /dev/null || \
	    { rm -rf .tox/harness; $(MAKE) --no-print-directory .tox/harness/up-to-date; }

# The stamp lies inside the environment, so that tox deletes it when it recreates the environment.
.tox/harness/up-to-date: pyproject.toml tox.ini | $(TOX)
	@echo 'installing the harness into .tox/harness'
	@$(RUN_TOX) run -qq -e harness --notest
	@touch $@
