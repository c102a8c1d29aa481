# `make demo` and `make test` bring a fresh Debian or Ubuntu to where they need it; both may be run
# again at once. Everything Python lives in .venv; nothing else is written outside this directory
# but Debian packages, and those only where something is missing.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

export PYTHON ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# systemd-python has no wheels: it is compiled against the libsystemd of this machine.
TEST_PACKAGES := python gcc libc6-dev pkg-config libsystemd-dev
# The demo's live part writes a real journal file and reads it back.
DEMO_PACKAGES := $(TEST_PACKAGES) systemd systemd-journal-remote
# Real programs the suite runs against; a test says why it is skipped where one cannot be had.
SUITE_PACKAGES := $(DEMO_PACKAGES) postgresql prometheus prometheus-alertmanager shellcheck
# What the e2e suites drive: a scrape target of the node, and a browser for the report page.
# A node in a box: tests/lab.
LAB_PACKAGES := $(DEMO_PACKAGES) debootstrap systemd-container
# The same node as a virtual machine; its kernel is fetched by tests/lab/vm, not installed here.
VM_PACKAGES := $(LAB_PACKAGES) $(SUITE_PACKAGES) qemu-system-x86
E2E_PACKAGES := $(SUITE_PACKAGES) $(LAB_PACKAGES) prometheus-node-exporter chromium chromium-driver

VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/.stamps
CODE   := $(wildcard agent backup alerts daemonset tests bench)
PIP    := $(BIN)/python -m pip install --quiet --require-virtualenv
LOCKED := $(PIP) --require-hashes --no-build-isolation
ROLES  := agent backup k8s dev lock

.PHONY: help demo test e2e-v2 drill-100 reliability policy screenshots slow lint format types e2e soak bench bench-smoke lock venv system-deps clean

help: ## what can be made
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' Makefile | while IFS=$$'\t' read -r name what; do printf '  make %-12s %s\n' "$$name" "$$what"; done

demo: $(STAMPS)/demo-packages $(STAMPS)/agent ## explain an embedded incident, from a fresh machine on
	@$(BIN)/python -m tests.demo

test: $(STAMPS)/dev $(STAMPS)/suite-packages ## run the suite, from a fresh machine on
	@$(BIN)/python -m pytest -n 2 -m 'not e2e and not slow' $(ARGS)

slow: $(STAMPS)/dev $(STAMPS)/suite-packages $(STAMPS)/policy ## tests that take minutes
	@$(call none_is_fine,$(BIN)/python -m pytest -m 'slow and not e2e' $(ARGS))

e2e: $(STAMPS)/dev $(STAMPS)/e2e-packages ## tests against real programs
	@$(call none_is_fine,$(BIN)/python -m pytest -m 'e2e and not slow' $(ARGS))

soak: $(STAMPS)/dev $(STAMPS)/e2e-packages ## e2e tests that take many minutes: 200 kills
	@$(call none_is_fine,$(BIN)/python -m pytest -m 'e2e and slow and not vm' $(ARGS))

e2e-v2: $(STAMPS)/dev $(STAMPS)/vm-packages ## cgroup v2 in a virtual machine, without /dev/kvm: minutes
	@$(call none_is_fine,$(BIN)/python -m pytest -m vm $(ARGS))

drill-100: $(STAMPS)/dev $(STAMPS)/e2e-packages ## the incident RUNS times, unthrottled and governed (RUNS=100: six hours)
	@$(BIN)/python -m tests.lab.drill.repeat $(or $(RUNS),100) $(ARGS)

reliability: $(STAMPS)/dev $(STAMPS)/suite-packages ## every scenario once more; the table of docs/reliability.md
	@$(BIN)/python -m tests.reliability --killing $(ARGS)

policy: $(STAMPS)/dev $(STAMPS)/policy ## what a policy checker says against the manifests
	@$(BIN)/python -m pytest tests/daemonset/test_policy.py $(ARGS)

screenshots: $(STAMPS)/dev $(STAMPS)/e2e-packages ## pictures of the report page and of the dashboards
	@$(BIN)/python -m tests.screenshots
	@$(BIN)/python -m tests.board_pictures

lint: $(STAMPS)/dev ## ruff: rules and format
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)

format: $(STAMPS)/dev ## let ruff mend what it can
	@$(BIN)/ruff check --fix-only --quiet $(CODE)
	@$(BIN)/ruff format $(CODE)

types: $(STAMPS)/dev ## mypy, strict
	@$(BIN)/mypy $(CODE)

bench: $(STAMPS)/dev $(STAMPS)/suite-packages ## the numbers, side by side with peers
	@$(call if_there,bench/__main__.py,$(BIN)/python -m bench $(ARGS))

bench-smoke: $(STAMPS)/dev $(STAMPS)/suite-packages ## the same, small: does every benchmark still run?
	@$(call if_there,bench/__main__.py,$(BIN)/python -m bench --smoke $(ARGS))

venv: $(STAMPS)/dev ## .venv with everything a developer needs

system-deps: ## the Debian packages all of the above need
	@tools/system-deps $(E2E_PACKAGES)

# uv resolves once for all Python versions and platforms; locks name hashes, never a registry.
lock: $(STAMPS)/lock ## resolve pyproject.toml into locks/ again (ARGS=--upgrade for newer versions)
	@$(call resolve,tools/build.in,build)
	@$(call resolve,pyproject.toml --extra dev,dev)
	@$(call resolve,tools/policy.in,policy)
	@for role in $(filter-out dev,$(ROLES)); do \
	    $(call resolve,pyproject.toml --extra $$role --constraint locks/dev.txt,$$role) || exit 1; done

clean: ## remove what make made
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

define resolve
$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --no-annotate --no-header \
    --output-file locks/$(2).txt $(1) $(ARGS)
endef

# pytest says 5 when it collected nothing.
define none_is_fine
$(1) || { status=$$?; [ $$status = 5 ] && echo "$@: there are no such tests"; }
endef

# Without root the rest of the suite still runs; the stamp waits until all of them are there.
define wished
tools/system-deps --wish $(1) && touch $@ || [ $$? = 3 ]
endef

define if_there
$(if $(wildcard $(1)),$(2),echo "$@: there is no $(1)")
endef

# ------------------------------------------------------------------------------------------- stamps
$(STAMPS)/venv:
	@tools/system-deps $(TEST_PACKAGES)
	@"$$(tools/find-python)" -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/build: locks/build.txt | $(STAMPS)/venv
	@$(PIP) --require-hashes -r $<
	@touch $@

$(STAMPS)/package: pyproject.toml | $(STAMPS)/build
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(STAMPS)/agent $(STAMPS)/dev $(STAMPS)/lock: $(STAMPS)/%: locks/%.txt $(STAMPS)/build $(STAMPS)/package
	@echo "installing locks/$*.txt into $(VENV)"
	@$(LOCKED) -r $<
	@touch $@

# checkov pins much of what it brings; it agrees with nothing else here.
$(STAMPS)/policy: locks/policy.txt | $(STAMPS)/venv
	@$(BIN)/python -m venv $(VENV)/policy
	@echo "installing locks/policy.txt into $(VENV)/policy"
	@$(VENV)/policy/bin/python -m pip install --quiet --require-hashes -r $<
	@touch $@

$(STAMPS)/demo-packages: | $(STAMPS)/venv
	@tools/system-deps $(DEMO_PACKAGES)
	@touch $@

$(STAMPS)/suite-packages: | $(STAMPS)/venv
	@$(call wished,$(SUITE_PACKAGES))

$(STAMPS)/vm-packages: | $(STAMPS)/venv
	@$(call wished,$(VM_PACKAGES))

$(STAMPS)/e2e-packages: | $(STAMPS)/venv
	@$(call wished,$(E2E_PACKAGES))
