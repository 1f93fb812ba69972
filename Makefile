# Everything a contributor runs. `make` alone prints this list.
.DEFAULT_GOAL := help
.PHONY: help demo test check fmt build picture servers

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: servers ## restock real products on private servers and watch people being told
	cargo build --release --bins
	cargo run --quiet --release --bin restock-cli -- demo

test: servers ## run all tests on private servers (or RESTOCK_TEST_REDIS_URL and RESTOCK_TEST_MYSQL_URL)
	cargo build --quiet --example with_servers
	$(or $(CARGO_TARGET_DIR),target)/debug/examples/with_servers cargo test --no-fail-fast

check: ## formatting, lints, documentation, file headers, links
	cargo fmt --check
	cargo clippy --all-targets --all-features -- -D warnings
	cargo clippy --lib --bins --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps
	scripts/check-headers.sh
	scripts/check-links.sh

fmt: ## format the code
	cargo fmt

picture: servers ## draw docs/demo.svg from a real run
	cargo build --release --bins
	scripts/draw-demo.sh

build: ## build the programs for production: without demo and private servers
	cargo build --release --no-default-features

servers:
	@scripts/ensure-servers.sh
