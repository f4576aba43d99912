# `make up` runs the local clouds, `make test` runs every test, `make down` leaves nothing behind.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: up down test check preview deploy docs tools venv env clean help

help:
	@sed -n 's/^\([a-z]*\):.*## /  make \1  /p' Makefile

up: tools ## three local clouds, pulumi up, predictions over gRPC and REST
	@$(RUN) -m localcloud up

down: venv ## destroy the local stack, end its processes, remove its files
	@$(RUN) -m localcloud down

test: tools ## every test that needs no cloud account
	@$(RUN) -m tests.run

check: venv ## linters and types only
	@$(RUN) -m tests.run --static

tools: venv ## find or build pulumi, etcd, kube-*, kubectl, egctl, rclone
	@$(RUN) -m toolchain

preview: venv ## what would change in STACK=dev or prod, checked against the policy pack
	@$(RUN) -m deploy preview -s "$(STACK)"

deploy: venv ## change STACK=dev or prod, after a preview and a question
	@$(RUN) -m deploy up -s "$(STACK)"

docs: venv ## reference pages from the schema, the components and the policy pack
	@$(RUN) -m docs.generate

env: venv ## print the environment of the local run as shell commands
	@$(RUN) -m localcloud env

venv: ## Python environment from requirements.lock
	@$(PYTHON) toolchain/environment.py

clean: ## remove what was built here (not the caches in the home directory)
	@rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis
