# sierpi: `make run` starts it, `make test` holds it. `make help` lists the rest.

VERSION   := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS   := -s -w -X main.version=$(VERSION)
GOBUILD   := CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)'

.PHONY: help run build test bench proof pictures soak clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

build: ## build/sierpi and build/sierpi-image for this machine
	@mkdir -p build
	$(GOBUILD) -o build/ ./cmd/sierpi ./cmd/sierpi-image

run: ## start the whole daemon on embedded defaults and print its addresses
	@mkdir -p build
	$(GOBUILD) -o build/ ./cmd/sierpi
	@exec build/sierpi serve

test: ## everything that must hold: linters, races, browser, real servers, cross-builds
	@exec .ci/test

bench: ## the comparisons, each beside its peer, into docs/benchmarks.md
	@exec .ci/bench

MINUTES ?= 3
proof: ## the chat loses nothing: 50 clients, faults, kill -9, for MINUTES=3 on each engine
	SIERPI_CHAT_PROOF=$(MINUTES)m go test -count=1 -v -timeout 120m ./daemon/chat -run '^TestProof'

pictures: ## the pictures of docs/, from the real daemon in a real browser
	SIERPI_PICTURES=$(CURDIR)/docs/pictures go test -count=1 -tags long ./cmd/sierpi -run TestPictures

soak: ## twenty minutes of the wall in Chromium, a line a minute
	SIERPI_SOAK=20m go test -count=1 -tags long -timeout 30m -v ./cmd/sierpi -run TestSoak

clean: ## remove what was built
	rm -rf build
