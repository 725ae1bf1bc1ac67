#!/bin/sh
# Does the course work under nbdev 3? Its export must give the modules of nbdev 2, and every lesson is run by its runner.
# nbdev 3 reads pyproject.toml, not settings.ini: a few lines are put into a copy of the checkout (work that is not committed included), never into
# the checkout: with a [project] table, setuptools would no longer take dependencies, commands and extras from settings.ini.
# Uses an environment of its own, .venv-nbdev3 (about 6 GB and some minutes the first time); it stays for the next run.
#   sh tools/check_nbdev3.sh 07 workshop     only notebooks with 07 or workshop in their path
set -eu
cd "$(dirname "$0")/.."
env=$PWD/.venv-nbdev3
work=$(mktemp -d)
die() { echo "nbdev3-check: $*" >&2; exit 1; }
setting() { sed -n "s/^$1 *= *//p" settings.ini; }
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

if ! "$env/bin/python" -m pip --version >/dev/null 2>&1; then
    free=$(df -Pk . | awk 'NR == 2 { print int($4/1048576) }')
    if [ "$free" -lt "${SETUP_GB:-7}" ]; then die "the disk is too full: about ${SETUP_GB:-7} GB are needed here, $free GB are free"; fi
    .venv/bin/python -m venv --clear "$env"
fi

# The copy: what git knows and does not ignore, as it lies here now
export GIT_INDEX_FILE="$work/index"
git read-tree HEAD && git add -A && git archive -o "$work/copy.tar" "$(git write-tree)" || die "git could not copy the checkout"
unset GIT_INDEX_FILE
mkdir "$work/copy" && tar -xf "$work/copy.tar" -C "$work/copy"

# The library out of the copy, and what its lessons need, without the pins of nbdev 2 and what came with it
tools=$(setting dev_requirements | tr ' ' '\n' | grep -Ev '^(nbdev|execnb|fastcore|ghapi|build)([<=>]|$)')
"$env/bin/python" -m pip install -qq --upgrade 'nbdev>=3,<4' fastcore execnb ghapi $tools -e "$work/copy[score,jury,onnx,heic]" || die "pip failed; run the same again to go on"

cat >> "$work/copy/pyproject.toml" <<END

[project]
name = "$(setting lib_name)"
version = "$(setting version)"

[project.urls]
Repository = "https://github.com/$(setting user)/$(setting repo)"
Documentation = "$(setting doc_host)$(setting doc_baseurl)"

[tool.nbdev]
tst_flags = "$(setting tst_flags)"
custom_sidebar = true
END

"$env/bin/python" tools/check_nbdev3.py "$work/copy" || die "nbdev 3 exports other modules"
"$env/bin/python" "$work/copy/tools/test.py" "$@"
