# Everything a contributor runs. `make` alone prints this list.
.DEFAULT_GOAL := help
.PHONY: help demo test test-api test-page compat faults state model check fmt build picture bench bench-peers plots servers

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: servers ## restock real products on private servers and watch people being told
	cargo build --release --bins
	cargo run --quiet --release --bin restock-cli -- demo

# Most tests wait more than they work: four at once also where there are fewer cores.
test: export RUST_TEST_THREADS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); test "$$cores" -gt 4 && echo "$$cores" || echo 4)
test: servers ## run all tests on private servers (or RESTOCK_TEST_REDIS_URL and RESTOCK_TEST_MYSQL_URL)
	scripts/test.sh

test-api: servers ## check restock-api against its description with schemathesis, in a virtual environment (PYTHON=python3)
	scripts/test-api.sh

test-page: servers ## test the pages in a real Chromium (RESTOCK_PICTURES=docs draws their pictures, too)
	scripts/test-page.sh

compat: servers ## run the main tests on each pair of servers found (COMPAT_REDIS="PATH …", COMPAT_MYSQL="PATH …"; scripts/compat.sh has more)
	scripts/compat.sh

faults: servers ## strike a running shop with some 850 faults and check every promise, then 20 fail-overs; 20 minutes (SEED=1 for one schedule, MINUTES=3)
	RESTOCK_FAULTS=long RESTOCK_FAULTS_SEED=$(SEED) RESTOCK_FAULTS_MINUTES=$(MINUTES) cargo test --quiet --test faults whatever_fails -- --nocapture
	cargo test --quiet --test failover one_fail_over -- --ignored --nocapture

state: servers ## store what this release keeps in Redis and MySQL, for the tests of later ones (docs/operations.md says when)
	cargo build --quiet --bins --example store_state
	$(or $(CARGO_TARGET_DIR),target)/debug/examples/store_state

model: ## search more states of the protocol's model than the tests do (MINUTES=3 for each of five bounds)
	cargo run --quiet --release --manifest-path model/Cargo.toml --example large -- $(or $(MINUTES),3)

bench: servers ## measure whole runs on private servers (ONLY=round,jobs for some), then the small parts
	cargo bench --quiet --bench whole -- $(if $(ONLY),--only $(ONLY))
	$(if $(ONLY),,cargo bench --quiet --manifest-path benches/parts/Cargo.toml)

plots: ## draw the plots of docs/performance.md from what bench and bench-peers wrote
	cargo run --quiet --release --manifest-path benches/plots/Cargo.toml -- docs $(wildcard target/bench.json target/bench-peers.json)

bench-peers: servers ## the same jobs by restock, BullMQ and apalis-redis on one Redis; what cannot be installed is skipped
	-cd benches/peers/bullmq && npm install --no-audit --no-fund --silent
	-cargo build --quiet --release --manifest-path benches/peers/apalis/Cargo.toml --target-dir benches/peers/apalis/target
	cargo bench --quiet --bench whole -- --only peers --json target/bench-peers.json

check: ## formatting, lints, documentation, file headers, links, dependencies
	cargo fmt --check
	cargo fmt --check --manifest-path model/Cargo.toml
	cargo fmt --check --manifest-path browser/Cargo.toml
	cargo clippy --all-targets --all-features -- -D warnings
	cargo clippy --manifest-path model/Cargo.toml --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps
	scripts/check-image.sh
	scripts/check-headers.sh
	scripts/check-links.sh
	scripts/check-alerts.sh
	scripts/check-deps.sh

fmt: ## format the code
	cargo fmt

picture: servers ## draw docs/demo.svg from a real run
	cargo build --release --bins
	scripts/draw-demo.sh

build: ## build the programs for production: without demo and private servers, optimised over all crates
	cargo build --profile production --no-default-features

servers:
	@scripts/ensure-servers.sh
