# `make help` lists the commands.

GO            ?= go
FUZZTIME      ?= 20000x
SEEDS         ?= 2000
BENCH         ?= ./test/bench

# What the checks are made with, built here and nowhere else.
TOOLS         := $(CURDIR)/.tools
GOFUMPT       := $(TOOLS)/gofumpt-v0.12.0
GOLANGCI_LINT := $(TOOLS)/golangci-lint-v2.15.0
NFPM          := $(TOOLS)/nfpm-v2.43.4
VERSION       ?= 0.0.0

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## serve on this machine, with the data in ./data; ARGS are passed on
	$(GO) run ./cmd/fattorino serve --dev $(ARGS)

.PHONY: test
test: setup ## run every test, those with other people's SDKs included
	$(GO) test -race -shuffle=on -timeout 15m ./...
	$(GO) test -shuffle=on -timeout 15m -run '^TestAPageOfAMillion' ./internal/sqlite # too slow with the race detector

.PHONY: check
check: $(GOFUMPT) $(GOLANGCI_LINT) ## format, vet, lint, modules, generated code
	@unformatted=$$($(GOFUMPT) -l cmd internal test docs) && test -z "$$unformatted" || \
		{ printf 'not formatted (run make fmt):\n%s\n' "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GOLANGCI_LINT) run ./...
	$(GO) mod tidy -diff
	scripts/generated.sh

.PHONY: fmt
fmt: $(GOFUMPT) ## format the code
	$(GOFUMPT) -w cmd internal test docs

.PHONY: torture
torture: setup ## kill it and take its power away, hundreds of times; ARGS are passed on
	$(GO) test -count=1 -timeout 0 -v ./test/crash -rounds 300 -images 600 -clock $(ARGS)

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (20000x, or a time as 30s)
	FUZZTIME=$(FUZZTIME) scripts/fuzz.sh

.PHONY: simulate
simulate: ## play SEEDS seeds (2000) in which everything fails; ARGS are passed on
	SIM_SEEDS=$(SEEDS) $(GO) test ./internal/simulation -run '^TestSimulation$$' -count=1 -timeout 4h $(ARGS)

.PHONY: bench
bench: ## measure; ARGS are passed on
	$(GO) run $(BENCH) $(ARGS)

.PHONY: build
build: ## make the one static binary, dist/fattorino
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o dist/fattorino ./cmd/fattorino

.PHONY: deb
deb: build $(NFPM) ## make a Debian package of VERSION in dist
	VERSION=$(VERSION) ARCH=$$($(GO) env GOARCH) $(NFPM) package --packager deb --config deploy/nfpm.yaml --target dist

.PHONY: generate
generate: ## make the generated code anew
	$(GO) generate ./...

.PHONY: setup
setup: ## install what the tests need and this machine lacks
	scripts/setup.sh

.PHONY: clean
clean: ## delete what was built
	rm -rf dist $(TOOLS) test/interop/node_modules test/browser/node_modules

# A tool's file carries its version, so that a new version is a new file.
$(TOOLS)/gofumpt-%:
	$(call install,mvdan.cc/gofumpt,$*,$@)

$(TOOLS)/golangci-lint-%:
	$(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint,$*,$@)

$(TOOLS)/nfpm-%:
	$(call install,github.com/goreleaser/nfpm/v2/cmd/nfpm,$*,$@)

define install
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) GOFLAGS= $(GO) install $(1)@$(2)
	@mv $(TOOLS)/$(notdir $(1)) $(3)
endef
