#!/bin/sh
# Draws docs/demo.svg: the screen after a real run of the demo in a terminal of 90 × 60 characters.
#
# Needs script (util-linux), python3, and npx for svg-term-cli. A run in which a figure is wrong draws nothing.
set -eu
cd "$(dirname "$0")/.."

program=${CARGO_TARGET_DIR:-target}/release/restock-cli
screen=$(mktemp)
trap 'rm -f "$screen" "$screen.cast"' EXIT
TERM=xterm-256color script --quiet --return --command "stty cols 90 rows 60; $program demo" "$screen" < /dev/null
# A recording in which all comes at once: a picture without motion. The first and the last line are those of script.
python3 - "$screen" > "$screen.cast" << 'PYTHON'
import json, sys

lines = open(sys.argv[1], newline="", encoding="utf-8").read().split("\n")[1:-2]
print(json.dumps({"version": 2, "width": 90, "height": 60}))
print(json.dumps([0, "o", "\n".join(lines)]))
print(json.dumps([1, "o", ""]))
PYTHON
npx --yes svg-term-cli --in "$screen.cast" --out docs/demo.svg --at 2000 --window --no-cursor
