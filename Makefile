# make: this help. Each recipe calls one script or `vldock` command; sections begin with a line of `##@`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VLDOCK := .venv/bin/vldock
PYTHON := .venv/bin/python
.PHONY: $(shell sed -nE 's/^([a-z-]+):.*## .*/\1/p' Makefile)

help:            ## print this help
	@awk -F':[^#]*## ' '/^##@ /{ printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## /{ printf "  make %-14s %s\n", $$1, $$2 }' Makefile

##@ Set up
setup:           ## the host's Python environment (.venv), from locks/host.lock
	@scripts/setup_host.sh

engine: setup    ## start a Docker engine that can build, installing one where allowed
	@$(VLDOCK) engine up

base: setup      ## the base image: pulled by digest, or made by mmdebstrap where no registry answers
	@$(VLDOCK) base

build: setup     ## the image vldock:4.37, verified as it is built
	@$(VLDOCK) build

demo: setup      ## fresh machine to 40 evaluated cells: engine, base, image, matrix on the stand-ins, no network
	@scripts/run_demo.sh

train-demo: setup  ## a tiny LLaVA-NeXT on a CPU: trained, killed, resumed, exported, evaluated (minutes)
	@scripts/train_demo.sh

clean: setup     ## remove vldock's containers and images, by label
	@$(VLDOCK) clean --images

##@ Test
check: setup     ## generated text, formatting, types, imports, Dockerfile, shell: writes nothing
	@scripts/run_checks.sh

test: setup      ## everything: unit, image build with its in-image tests, docker tests with the matrix of 168 cells
	@scripts/run_tests.sh

test-unit: setup ## unit tests and static checks only: seconds
	@scripts/run_tests.sh unit

test-docker: setup ## tests against the built image
	@scripts/run_tests.sh docker

test-image: setup ## the in-image tests, run in a container of the promoted image
	@scripts/run_tests.sh image

check-report: setup ## report.html in a Chromium: console, filters, themes (RUN=outputs/.. PICTURES=DIR)
	@scripts/check_report.sh $(RUN) $(PICTURES)

prove-closed: setup ## a bundle made, carried, loaded into an empty place; 40/40 cells there, no network (10 minutes)
	@scripts/prove_closed.sh

rebuild-proof: setup ## build twice from nothing: the same bytes, layer by layer (20 minutes)
	@$(VLDOCK) rebuild-proof

##@ Generate
lock: setup      ## resolve locks/*.in into locks/*.lock with hashes (minutes)
	@$(VLDOCK) lock

check-lock: setup ## fail when a .in and its .lock disagree
	@$(VLDOCK) lock --check

generate: setup  ## text generated from declarations: the Dockerfile's ENV, reference scores, exit codes
	@$(VLDOCK) generate

standin: setup   ## train the stand-ins again, in the image, from their recipe (minutes)
	@scripts/make_standin.sh

remote-standins: setup ## fit the stand-ins with remote code again, in the image (2 minutes)
	@scripts/make_remote_standins.sh

##@ Ship
promote: setup   ## build, list, verify, copy by digest: TO=HOST/NAME KEY=.. PUB=.. CONFIRM=1 (docs/trust/promotion.md)
	@scripts/promote_image.sh

##@ Measure
bench: setup     ## ways to evaluate the 40 cells, stand-ins and real widths (an hour, machine alone)
	@$(PYTHON) benchmarks/speed/campaign.py && $(PYTHON) benchmarks/speed/honest.py

bench-quick: setup ## the same ways over 4 cells, into .vldock/speed (8 minutes)
	@$(PYTHON) benchmarks/speed/campaign.py --cells 2 --out .vldock/speed

bench-honest: setup ## our engine against VLMEvalKit's loop at LLaVA-1.5-7B's widths on a CPU (half an hour)
	@$(PYTHON) benchmarks/speed/honest.py

bench-teeth: setup ## break the image on purpose, 31 ways: each must be caught by a named test (20 minutes)
	@$(PYTHON) benchmarks/teeth/campaign.py

soak-session: setup ## 200 evaluations in one session on the stand-ins: memory flat, none failed (10 minutes)
	@$(PYTHON) benchmarks/session/soak.py

bench-imports: setup ## CPU seconds saved by deferring VLMEvalKit's imports (5 minutes)
	@$(PYTHON) benchmarks/imports/measure.py

bench-features: setup ## the feature cache: hits against recomputing, killed writers, both heads (20 minutes)
	@$(PYTHON) benchmarks/features/campaign.py
