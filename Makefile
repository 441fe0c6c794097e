# `make` alone tells what there is. Every command sets up what it needs, once, and can be repeated.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo demo-windows test check bench lock clean kerberos slapd redis chromium wrk without-npm npm-missing

PYTHON ?= python3
ARGS ?=
python := .venv/bin/python
export PYTHON

# A stamp's name carries a digest of the files that it was made from: a changed lock is a new target.
blank := $() $()
stamp = $(1)/.ready-$(subst $(blank),-,$(shell cat $(2) | cksum))
node_stamp = $(foreach folder,$(1),$(call stamp,$(folder)/node_modules,$(folder)/package.json $(folder)/package-lock.json))
with_node = $(patsubst %/package-lock.json,%,$(wildcard $(addsuffix /package-lock.json,$(1))))

environment := $(call stamp,.venv,requirements/dev.txt pyproject.toml)
clients := $(call stamp,.venv-clients,requirements/clients.txt)
npm := $(shell command -v npm)
test_modules := $(if $(npm),$(call node_stamp,$(call with_node,demo tests)),without-npm)
demo_modules := $(if $(npm),$(call node_stamp,$(call with_node,demo)),npm-missing)
bench_modules := $(if $(npm),$(call node_stamp,$(call with_node,benchmarks)),npm-missing)

# `make check` measures ring 0 and the auth schemes by their own tests: no branch of these may stay untested.
ring_0 := authorization claim_types claims claims_header connection_string endpoint_errors endpoints error_text errors hub_protocols invocation json_protocol key_source messagepack_arrays messagepack_protocol messages names principal protocol refresh service_errors token_claims tokens upstream_headers upstream_signature
gated_tests := $(wildcard $(ring_0:%=tests/test_%*.py) tests/test_vectors.py tests/test_auth*.py)
comma := ,
gated_files := $(subst $(blank),$(comma),$(ring_0:%=flask_signalr/%.py) flask_signalr/auth/*)
sources := $(wildcard flask_signalr demo tests benchmarks conftest.py)

help:
	@echo "flask-signalr: Azure SignalR Service for Flask"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s  %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "Start with \`make demo\` and open the address that it prints; before a commit, \`make test check\`."
	@echo "Part of the tests: make test ARGS='-k cookie'. Another Python: make clean test PYTHON=python3.12"

demo: $(environment) $(demo_modules) ## the chat with its own SignalR service on this machine; Ctrl-C stops it
	@$(python) -m demo $(ARGS)

demo-windows: $(environment) $(demo_modules) kerberos ## the same in an intranet of its own: Windows sign-on, without Windows
	@$(python) -m demo --windows $(ARGS)

test: $(environment) $(clients) $(test_modules) kerberos slapd redis chromium ## every test, in a real browser too
	@echo "==> Running the tests"
	@$(python) -m pytest $(ARGS)
	@echo "make test: passed. What could not run here, if anything, stands above under LEFT OUT."

check: $(environment) $(test_modules) kerberos slapd redis ## the gates: lint, types, layers, examples in the docs, branch coverage
	@echo "==> Lint and format"
	@$(python) -m ruff check .
	@$(python) -m ruff format --check .
	@echo "==> Types"
	@$(python) -m mypy $(sources)
	@echo "==> Layers, examples in the docs, branch coverage of ring 0 and auth/"
	@$(python) -m coverage run -m pytest tests/test_architecture.py $(wildcard README.md docs) $(gated_tests)
	@$(python) -m coverage report --include='$(gated_files)' --fail-under=100
	@echo "make check: every gate is green."

bench: $(environment) $(bench_modules) kerberos wrk ## the benchmarks, as ratios to what you would use otherwise
	@$(python) -m benchmarks $(ARGS)

lock: ## resolve the dependencies anew into requirements/; ARGS=--upgrade takes newer releases
	@scripts/setup lock $(ARGS)

clean: ## forget everything that was set up
	@rm -rf .venv .venv-clients .venv-lock */node_modules

$(environment):
	@scripts/setup python .venv requirements/dev.txt
	@.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@rm -f .venv/.ready-* && touch $@

$(clients):
	@scripts/setup python .venv-clients requirements/clients.txt
	@rm -f .venv-clients/.ready-* && touch $@

$(filter-out without-npm npm-missing,$(sort $(test_modules) $(demo_modules) $(bench_modules))):
	@scripts/setup node $(patsubst %/node_modules/,%,$(@D)/)
	@mkdir -p $(@D) && touch $@

kerberos: $(environment)
	@scripts/setup kerberos .venv requirements/kerberos.txt

slapd:
	@scripts/setup slapd

redis:
	@scripts/setup redis

chromium:
	@scripts/setup chromium

wrk:
	@scripts/setup wrk

without-npm:
	@echo "!!! npm is missing: the tests that need Node.js are left out. Install Node.js with npm to run them."

npm-missing:
	@echo "!!! This needs Node.js with npm (on Debian: apt-get install nodejs npm). Install them and try again."
	@exit 1
