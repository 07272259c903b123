# What developers and CI run. `make` alone lists the targets.

.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules --no-print-directory

RELEASE := $(or $(CARGO_TARGET_DIR),target)/release
# Programs that are built for the tests.
TOOLS := $(abspath $(or $(CARGO_TARGET_DIR),target))/tools
# Further flags of the demo's measurement; `make demo DEMO_FLAGS=--help` shows them.
DEMO_FLAGS ?=
# How much `properties`, `simulate` and `fuzz` try. docs/TESTING.md says more.
PROPTEST_CASES ?= 100000
SIM_SEEDS ?= 10000
SIM_SEED ?=
FUZZ_SECONDS ?= 5
FUZZ_TARGETS ?=
FUZZ_INPUT ?=

DELIVERY := broker_loss:: delivery:: sequence:: shutdown:: slow_client:: subscribe::
define over
	$(call heading,test-brokers: delivery over $(1))
	@env -u DATABASE_URL -u REDIS_URL HOPLINE_BROKER=$(1) cargo test --test it --locked -- $(2)
endef

heading = @printf '\n== %s\n' '$(1)'

.PHONY: help demo test check setup setup-tests fmt lint docs cargo-test test-brokers
.PHONY: kafka test-jaeger properties simulate fuzz check-stack deps sbom clean

help: ## Lists these targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## Builds, starts PostgreSQL, Redis and three servers, measures, and shows which claims hold.
	$(call heading,build: the server and the load generator)
	@cargo build --release --workspace --bins --locked
	$(call heading,measure: the claims of the architecture decision)
	@$(RELEASE)/hopline-loadtest adr --exit-zero $(DEMO_FLAGS)

test: setup-tests kafka fmt lint docs cargo-test test-brokers ## Everything that must pass: check, then all tests on real services.

check: fmt lint docs ## What is quick: formatting, lints and documentation.

setup: ## Installs what is missing on this machine, or says what to install.
	@scripts/setup

# The tests crash and freeze their services, so these are always their own.
setup-tests:
	@DATABASE_URL= REDIS_URL= scripts/setup --tests

fmt: ## Checks the formatting.
	$(call heading,fmt: formatting)
	@cargo fmt --all --check

lint: ## Runs clippy; a warning is an error.
	$(call heading,lint: clippy)
	@cargo clippy --workspace --all-targets --locked -- -D warnings

docs: ## Builds the documentation; a broken link is an error.
	$(call heading,docs: documentation)
	@RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked

cargo-test: ## Runs all tests, without the checks before them.
	$(call heading,cargo-test: unit and integration tests with real PostgreSQL, Redis and promtool)
	@env -u DATABASE_URL -u REDIS_URL cargo test --workspace --locked

# Between the servers of `local` there is nothing: broker_loss and delivery are about what there is, and others' messages come too late
# for those who come and go. With an outbox no server publishes for itself, which two tests are about.
test-brokers: kafka ## Runs the tests of delivery once more over each other broker.
	$(call over,local,sequence:: shutdown:: slow_client:: subscribe:: --skip come_and_go)
	$(call over,redis-channels,$(DELIVERY))
	$(call over,redis-sharded,$(DELIVERY))
	$(call over,kafka,$(DELIVERY) --skip another_servers_failure_to_publish --skip died_between_commit_and_publish)

kafka: ## Brings Apache Kafka's broker into the build folder, for the lab (Maven; Java 17).
	$(call heading,kafka: the broker of the option that was rejected)
	@scripts/install-kafka $(TOOLS)/kafka

test-jaeger: ## Finds a message's trace in a real Jaeger. Builds it first if there is none (Go, 3 to 5 minutes).
	$(call heading,test-jaeger: traces in a real Jaeger)
	@command -v jaeger >/dev/null || test -x $(TOOLS)/jaeger || scripts/install-jaeger $(TOOLS)
	@PATH="$(TOOLS):$$PATH" cargo test --test jaeger --locked

properties: ## Tries the ordering logic on 100,000 histories of steps, or PROPTEST_CASES.
	$(call heading,properties: $(PROPTEST_CASES) histories)
	@PROPTEST_CASES=$(PROPTEST_CASES) cargo test --package hopline --lib --locked order::properties

# A build of its own: only so does a seed decide what Tokio does first, too.
simulate: ## Simulates servers from 10,000 seeds, or SIM_SEEDS, or from SIM_SEED alone.
	$(call heading,simulate: $(if $(SIM_SEED),seed $(SIM_SEED),$(SIM_SEEDS) seeds))
	@SIM_SEEDS=$(SIM_SEEDS) SIM_SEED=$(SIM_SEED) RUSTFLAGS="--cfg tokio_unstable" \
		cargo test --test simulation --locked --target-dir $(dir $(RELEASE))simulation

fuzz: ## Fuzzes each target for FUZZ_SECONDS (5), or FUZZ_TARGETS alone.
	$(call heading,fuzz: $(FUZZ_SECONDS) s for each target)
	@DATABASE_URL=none REDIS_URL=none scripts/setup
	@FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_INPUT=$(FUZZ_INPUT) scripts/fuzz $(FUZZ_TARGETS)

check-stack: ## Checks the compose stack's files, with docker compose where it is installed, and the dashboards (Go).
	$(call heading,check-stack: compose and dashboards)
	@HOPLINE_TOOLS=$(TOOLS) scripts/check-compose
	@cd scripts/grafana-schema && go run . $(CURDIR)/observability/grafana/dashboards/*.json

deps: ## Checks licences, sources and banned crates (cargo-deny).
	@cargo deny --all-features check licenses bans sources

sbom: ## Writes what each crate is built from, as CycloneDX (cargo-cyclonedx), to results/.
	@mkdir -p results
	@cargo cyclonedx --format json --target all
	@mv hopline.cdx.json loadtest/hopline-loadtest.cdx.json results/

clean: ## Removes what was built.
	@cargo clean
