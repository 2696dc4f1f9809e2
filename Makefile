# Every task of Roomcast. `make` alone prints the list; what a task needs is installed below build/ and .tox/.

PYTHON ?= python3
TARGET ?= local
export TARGET

TOX := build/tox/bin/tox
HARNESS := .tox/harness/bin/python

# tox looks for interpreters on PATH only; pyenv keeps the other versions off it.
comma := ,
empty :=
PYENV_ROOT ?= $(HOME)/.pyenv
PYENV_PYTHONS := $(wildcard $(PYENV_ROOT)/versions/3.1[123].*/bin/python3.1[123])
export TOX_DISCOVER ?= $(subst $(empty) $(empty),$(comma),$(PYENV_PYTHONS))

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  TARGET=local (default: an emulator of its own), localstack (yours, running) or live (a deployed stage)'


.PHONY: demo up down plan
demo: build require-terraform $(HARNESS) ## watch it work: build, start the emulator, apply, connect clients, send, tear down
	@$(HARNESS) -m scripts.demo

up: build require-terraform $(HARNESS) ## start a stack that stays, and print how to talk to it
	@$(HARNESS) -m scripts.stack up

down: $(HARNESS) ## remove the stack that `make up` started
	@$(HARNESS) -m scripts.stack down

plan: build require-terraform $(HARNESS) ## compare terraform/ with the stack of `make up`; fails if anything would change
	@$(HARNESS) -m scripts.stack plan


.PHONY: build apply destroy
build: require-python ## build one zip per handler into build/handlers/
	@$(PYTHON) scripts/build_handlers.py

apply: build require-terraform ## apply terraform/ to AWS with your own credentials
	@$(PYTHON) -m scripts.terraform -chdir=terraform init
	@$(PYTHON) -m scripts.terraform -chdir=terraform apply

destroy: build require-terraform ## remove from AWS what `make apply` created
	@$(PYTHON) -m scripts.terraform -chdir=terraform init
	@$(PYTHON) -m scripts.terraform -chdir=terraform destroy


# Those of tox: each in an environment of its own.
.PHONY: test lint types unit terraform integration test-faults test-mutants test-long format
test: require-terraform $(TOX) ## run all that needs no AWS: the five parts below
	@$(TOX) run-parallel -q -p 2 -e lint,types,py311,py312,py313,terraform
	@$(TOX) run -q -e integration

lint: require-terraform $(TOX) ## ruff, the route table, module READMEs, terraform fmt
	@$(TOX) run -q -e lint

types: $(TOX) ## mypy, strict
	@$(TOX) run -q -e types

unit: $(TOX) ## unit tests of handlers and scripts, on Python 3.11, 3.12 and 3.13 where installed
	@$(TOX) run -q -m unit

terraform: require-terraform $(TOX) ## validate and test every Terraform module with mocked providers
	@$(TOX) run -q -e terraform

integration: require-terraform $(TOX) ## real WebSocket connections against TARGET
	@$(TOX) run -q -e integration

test-faults: require-terraform $(TOX) ## faults injected between the functions and AWS; takes minutes
	@$(TOX) run -q -e integration -- integration_tests/faults

test-mutants: require-terraform $(TOX) ## code broken on purpose, each time noticed by the tests; takes minutes
	@$(TOX) run -q -e integration -- integration_tests/mutants

test-long: require-terraform $(TOX) ## all that `make test` leaves out because it takes long: faults, mutants, load scenarios
	@$(TOX) run -q -e integration -- -m long integration_tests

format: require-terraform $(TOX) ## format Python and Terraform, and fill the module READMEs
	@$(TOX) run -q -e format


.PHONY: bench load
bench: $(TOX) ## measure what a message costs, beside boto3 and the AWS SDK for JavaScript; takes minutes
	@$(TOX) run -q -e bench

load: build require-terraform $(HARNESS) ## thousands of clients against TARGET, every message accounted for: ARGS='--connections 2000'
	@$(HARNESS) -m integration_tests.load run $(STAGE) $(ARGS)


# A deployed stage is given by its URL, or by Terraform's outputs, with which the table can be looked at too.
STAGE = $(if $(URL),--websocket-url '$(URL)') $(if $(OUTPUTS),--outputs '$(OUTPUTS)')

.PHONY: test-live bench-live nightly require-stage
test-live: require-stage $(TOX) ## integration against a deployed stage: URL=wss://..., or OUTPUTS=<file>
	@$(TOX) run -q -e integration -- -m 'not long' integration_tests --target live $(STAGE)

bench-live: require-stage $(HARNESS) ## how long a message takes to everyone in a room of that stage: URL or OUTPUTS
	@$(HARNESS) -m integration_tests.load bench --target live $(STAGE) $(ARGS)

nightly: test-live $(HARNESS) ## test-live, then a load run on that stage
	@$(HARNESS) -m integration_tests.load run --target live $(STAGE) $(ARGS)

require-stage:
	@test -n '$(URL)$(OUTPUTS)' || { echo 'make: which stage? URL=wss://..., or OUTPUTS=<file of terraform output -json>' >&2; exit 2; }


.PHONY: clean
clean: ## remove the stack of `make up`, and everything generated
	@if [ -e build/stack ]; then $(MAKE) down; fi
	rm -rf build .tox .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +


NO_PYTHON = make: Roomcast needs Python >= 3.11, and $(PYTHON) is not; \
get it from https://www.python.org/downloads/, or name another one: make PYTHON=python3.13 ...

.PHONY: require-python require-terraform
require-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo '$(NO_PYTHON)' >&2; exit 1; }

require-terraform: require-python
	@$(PYTHON) -m scripts.terraform version > /dev/null

$(TOX): | require-python
	@echo 'installing tox into build/tox'
	@$(PYTHON) -m venv build/tox
	@build/tox/bin/python -m pip install --quiet 'tox>=4.25,<5'

# The stamp lies inside the environment, so that tox takes it away when it makes the environment anew.
$(HARNESS): .tox/harness/up-to-date
.tox/harness/up-to-date: pyproject.toml tox.ini | $(TOX)
	@echo 'installing what the harness needs into .tox/harness'
	@$(TOX) run -qq -e harness --notest
	@touch $@
