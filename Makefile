# make: this help. Every recipe is one line; what it does is in scripts/ and `vldock`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VLDOCK := .venv/bin/vldock
.PHONY: help setup demo test test-unit test-docker test-image build base engine matrix lock check-lock generate check standin promote clean check-report bench-teeth soak-session rebuild-proof prove-closed bench-imports bench-features train-demo bench bench-quick bench-honest

help:            ## print this help
	@grep -hE '^[a-z-]+: .*##' Makefile | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | awk -F'\t' '{ printf "  make %-13s %s\n", $$1, $$2 }'

setup:           ## the host's Python environment (.venv), from locks/host.lock
	@scripts/setup_host.sh

demo: setup      ## fresh machine to 40 evaluated cells: engine, base, image, matrix on the stand-ins, no network
	@scripts/run_demo.sh

test: setup      ## everything: unit, image build with its in-image tests, docker tests with the 40-cell matrix
	@scripts/run_tests.sh

test-unit: setup ## unit tests and static checks only: seconds
	@scripts/run_tests.sh unit

test-docker: setup ## tests against the built image
	@scripts/run_tests.sh docker

test-image: setup ## the in-image tests, run in a container of the promoted image
	@scripts/run_tests.sh image

engine: setup    ## start a Docker engine that can build, installing one where we may
	@$(VLDOCK) engine up

base: setup      ## the base image: pulled by digest, or made by mmdebstrap where no registry answers
	@$(VLDOCK) base

build: setup     ## the image vldock:4.37, verified as it is built
	@$(VLDOCK) build

promote: setup   ## build, list, verify, copy by digest: TO=HOST/NAME KEY=.. PUB=.. CONFIRM=1 (docs/trust/promotion.md)
	@scripts/promote_image.sh

lock: setup      ## resolve locks/*.in into locks/*.lock with hashes (minutes)
	@.venv/bin/python -m vldock.host.build.locks

check-lock: setup ## fail when a .in and its .lock disagree
	@.venv/bin/python -m vldock.host.build.locks --check

generate: setup  ## write what is generated from a declaration (the Dockerfile's ENV, docs/trust/reference-scores.md)
	@.venv/bin/python -m vldock.host.build.generate

check: setup     ## generated text, formatting, types, Dockerfile, shell: nothing is written
	@scripts/run_checks.sh

check-report: setup ## look at report.html in a Chromium: console, filters, themes (RUN=outputs/.. PICTURES=DIR)
	@scripts/check_report.sh $(RUN) $(PICTURES)

train-demo: ## a tiny LLaVA-NeXT learns drawn flowers on a CPU, is killed, resumed, exported, evaluated (minutes)
	@scripts/train_demo.sh

standin: setup   ## train the stand-ins again, in the image, from their recipe (minutes)
	@scripts/make_standin.sh

bench: setup     ## compare ways to evaluate the 40 cells, stand-ins and real widths: benchmarks/speed (an hour, machine alone)
	@.venv/bin/python benchmarks/speed/campaign.py && .venv/bin/python benchmarks/speed/honest.py

bench-quick: setup ## the same ways over 4 cells, into .vldock/speed (8 minutes)
	@.venv/bin/python benchmarks/speed/campaign.py --cells 2 --out .vldock/speed

bench-honest: setup ## our engine against VLMEvalKit's loop at LLaVA-1.5-7B's widths on a CPU (half an hour)
	@.venv/bin/python benchmarks/speed/honest.py

bench-teeth: setup ## break the image on purpose, 31 ways: each must be caught by a named test (20 minutes)
	@.venv/bin/python benchmarks/teeth/campaign.py

soak-session: setup ## 200 evaluations in one session on the stand-ins: memory flat, none failed (10 minutes)
	@.venv/bin/python benchmarks/session/soak.py

bench-imports: setup ## what putting VLMEvalKit's imports off saves, in CPU seconds (5 minutes)
	@.venv/bin/python benchmarks/imports/measure.py

bench-features: setup ## the feature cache: hit against recomputing, killed writers, both heads (20 minutes)
	@.venv/bin/python benchmarks/features/campaign.py

rebuild-proof: setup ## build twice from nothing: the same bytes, layer by layer (20 minutes)
	@$(VLDOCK) rebuild-proof

prove-closed: setup ## a bundle made, carried, loaded into an empty place; 40/40 cells there, no network (10 minutes)
	@scripts/prove_closed.sh

clean: setup     ## remove containers and images of ours, by label
	@$(VLDOCK) clean --images
