#!/usr/bin/env bash
# All tests. Those of the protocol's model only compute: they run at the lowest priority beside the others, which mostly
# wait, and are printed after them.
set -uo pipefail
cd "$(dirname "$0")/.."

model_log=$(mktemp)
# With a process group of its own, so that nothing of it is left when this ends before it.
set -m
nice -n 19 cargo test --manifest-path model/Cargo.toml >"$model_log" 2>&1 &
model=$!
set +m
trap 'kill -- "-$model" 2>/dev/null; rm -f "$model_log"' EXIT
trap 'exit 130' INT TERM

cargo build --quiet --example with_servers &&
    "${CARGO_TARGET_DIR:-target}/debug/examples/with_servers" cargo test --no-fail-fast
tested=$?
wait "$model"
modelled=$?
trap 'rm -f "$model_log"' EXIT
cat "$model_log"
exit $((tested != 0 || modelled != 0))
