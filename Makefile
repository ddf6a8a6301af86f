# sierpi: `make run` starts it, `make test` holds it. `make help` lists the rest.

VERSION   := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS   := -s -w -X main.version=$(VERSION)
GOBUILD   := CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)'

# Building an image writes files of many owners: as root.
SUDO      := $(if $(filter 0,$(shell id -u)),,sudo)
IMAGES    := build/image
PI_IMAGE  := $(IMAGES)/sierpi-headless-debian-arm64-pi.img
PC_IMAGE  := $(IMAGES)/sierpi-headless-debian-amd64-pc.img
ARGS      :=

.PHONY: help run build test bench proof pictures contact-sheet soak soak-all idle image packages vm acceptance powercuts clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

build: ## build/sierpi, build/sierpi-zram and build/sierpi-image for this machine
	@mkdir -p build
	$(GOBUILD) -o build/ ./cmd/sierpi ./cmd/sierpi-zram ./cmd/sierpi-image

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

pictures: ## the pictures of docs/, from the real daemon in a real browser; more of each size and page in build/pictures
	@mkdir -p build/pictures
	SIERPI_PICTURES=$(CURDIR)/build/pictures SIERPI_SHOTS=$(CURDIR)/build/pictures go test -count=1 -tags long ./cmd/sierpi -run 'TestPictures|TestRemote$$'
	@for p in docs/pictures/*.png; do [ ! -e build/pictures/$${p##*/} ] || cp build/pictures/$${p##*/} $$p; done

contact-sheet: ## every scene, by night and by day, at 16:9, 5:3 and upright, into docs/pictures
	SIERPI_SHEET=$(CURDIR)/docs/pictures go test -count=1 -tags long ./display -run TestContactSheet

soak: ## twenty minutes of the wall in Chromium, a line a minute
	SIERPI_SOAK=20m go test -count=1 -tags long -timeout 30m -v ./cmd/sierpi -run 'TestSoak$$'

soak-all: ## an hour of everything at once: Chromium, 200 chatters, phones, feeds, scrapes; nothing may grow
	SIERPI_SOAK=60m go test -count=1 -tags long -timeout 90m -v ./cmd/sierpi -run TestSoakAll

idle: ## what an idle wall writes to a card in an hour, counted for 24 minutes on a real ext4 (as root)
	SIERPI_IDLE=24m go test -count=1 -tags long -timeout 60m -v ./cmd/sierpi -run TestIdleWrites

packages: build ## the Debian packages for arm64, armhf, armel and amd64, into build/packages
	build/sierpi-image packages --out build/packages $(ARGS)

image: build ## the flashable image for the Raspberry Pi 3, Zero 2 W, 4 and 400 (ARGS="--arch armel": the 1 and Zero)
	$(SUDO) build/sierpi-image build $(ARGS)

vm: build $(PC_IMAGE) ## boot the PC image under QEMU and log in over ttyS0 (ARGS="--patience 4" on a busy machine)
	build/sierpi-image vm $(ARGS) $(PC_IMAGE)

acceptance: build $(PI_IMAGE) ## boot the Raspberry Pi image under QEMU's raspi3b and log in over ttyS0
	build/sierpi-image acceptance $(ARGS) $(PI_IMAGE)

powercuts: build $(PC_IMAGE) ## pull the plug of the PC image 240 times, from a recording of its writes (ARGS="--work /dev/shm")
	build/sierpi-image cuts $(ARGS) $(PC_IMAGE)

# Built where there is none: to prove a change, remove the image or run make image first.
$(PI_IMAGE): | build
	$(SUDO) build/sierpi-image build

$(PC_IMAGE): | build
	$(SUDO) build/sierpi-image build --arch amd64 --board pc --no-compress

clean: ## remove what was built
	rm -rf build
