#!/bin/sh
# Run the library under the newest fastai and fastcore, without the pins of the tools, as a notebook service would have them.
# Uses a second environment, .venv-newest (about 6 GB and some minutes the first time); it stays for the next run.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
env=$root/.venv-newest
die() { echo "newest-check: $*" >&2; exit 1; }

if ! "$env/bin/python" -m pip --version >/dev/null 2>&1; then
    free=$(df -Pk . | awk 'NR == 2 { print int($4/1048576) }')
    if [ "$free" -lt "${SETUP_GB:-7}" ]; then die "the disk is too full: about ${SETUP_GB:-7} GB are needed here, $free GB are free"; fi
    .venv/bin/python -m venv --clear "$env"
fi
rm -rf build # or files that are no longer in the library would be packed again
"$env/bin/python" -m pip install -qq --upgrade --upgrade-strategy eager fastai fastcore . || die "pip failed; run the same again to go on"
"$env/bin/python" -m pip install -qq --force-reinstall --no-deps . || die "pip failed; run the same again to go on"
cd "$env" # away from the checkout, so that the installed library is imported
"$env/bin/python" "$root/tools/check_newest.py"
