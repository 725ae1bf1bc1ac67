#!/bin/sh
# Export and clean the notebooks, write the README, and say which files that changed: none, if notebooks, modules and README agree.
# Compares with the files as they were a moment ago, so that work which is not committed yet does not count.
set -eu
cd "$(dirname "$0")/.."
bin=$PWD/.venv/bin
before=$(mktemp); after=$(mktemp)
trap 'rm -f "$before" "$after"' EXIT

sums() { git ls-files -z --cached --others --exclude-standard | xargs -0 cksum 2>/dev/null | sort -u || true; }

sums > "$before"
"$bin/nbdev_export"
"$bin/nbdev_clean"
"$bin/python" tools/readme.py
sums > "$after"
changed=$(diff "$before" "$after" | awk '/^[<>]/ { sub(/^[<>] [0-9]+ [0-9]+ /, ""); print }' | sort -u)
if [ -n "$changed" ]; then
    echo "check: nbdev_export, nbdev_clean and tools/readme.py changed these files; look at them and commit them:" >&2
    echo "$changed" | sed 's/^/  /' >&2
    exit 1
fi
echo "check: notebooks, modules and README agree"
