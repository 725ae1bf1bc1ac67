#!/bin/sh
# Make .venv and install the library and its tools into it, once.
#
# Done already? Then it ends at once: .venv/.installed holds a checksum of the settings, the Python version and the place.
# Interrupted? Run it again: the mark is written last, and pip goes on with what it has.
#   PYTHON=python3.12   the interpreter to use (default: the one in .venv, else the first on the PATH that is new enough)
#   SETUP_GB=3          disk space to ask for, where PyTorch comes without CUDA (default 7)
set -eu
cd "$(dirname "$0")/.."
venv=.venv
log=$venv/setup.log
oldest=$(sed -n 's/^min_python *= *//p' settings.ini)

die() { echo "setup: $*" >&2; exit 1; }
version() { "$1" -c 'import sys; print("%d.%d.%d" % tuple(sys.version_info[:3]))' 2>/dev/null; }
new_enough() { "$1" -c "import sys; sys.exit(sys.version_info[:2] < tuple(map(int, '$oldest'.split('.'))))" 2>/dev/null; }
key() { { pwd; version $venv/bin/python; cat settings.ini setup.py pyproject.toml; } 2>/dev/null | cksum; }
free_gb() { df -Pk "${1:-.}" | awk 'NR == 2 { print int($4/1048576) }'; }

# Which Python
if [ -n "${PYTHON:-}" ]; then
    command -v "$PYTHON" >/dev/null 2>&1 || die "PYTHON=$PYTHON: there is no such program"
    found=$(version "$PYTHON") || found=
    [ -n "$found" ] || die "PYTHON=$PYTHON: this is no Python that runs"
    new_enough "$PYTHON" || die "PYTHON=$PYTHON is Python $found; monet_course needs $oldest or newer"
else
    found=
    for PYTHON in $venv/bin/python python3 python3.14 python3.13 python3.12 python3.11 python3.10 python; do
        new_enough "$PYTHON" && break
        [ -n "$found" ] || found=$(version "$PYTHON") || found=
        PYTHON=
    done
    if [ -z "$PYTHON" ]; then
        [ -z "$found" ] || die "Python $found is too old; monet_course needs $oldest or newer (PYTHON=/path/to/python names another)"
        die "no python3 found; install Python $oldest or newer"
    fi
fi

# Is everything there?
wanted=$(version "$PYTHON")
there=$(version $venv/bin/python) || there=
if [ "$there" = "$wanted" ] && [ -f $venv/.installed ] && [ "$(cat $venv/.installed)" = "$(key)" ]; then exit 0; fi

# Is there room?
have=$(du -sk $venv 2>/dev/null | awk '{ print int($1/1048576) }')
need=$((${SETUP_GB:-7} - ${have:-0}))
if [ $need -lt 1 ]; then need=1; fi
free=$(free_gb)
if [ "$free" -lt $need ]; then die "the disk is too full: about $need GB are needed here, $free GB are free"; fi

# The environment: kept if it is of the same Python and was made in this place, else made anew
place=$(cat $venv/.place 2>/dev/null) || place=$PWD
if [ "$there" != "$wanted" ] || [ "$place" != "$PWD" ] || ! $venv/bin/python -m pip --version >/dev/null 2>&1; then
    if [ "$PYTHON" = $venv/bin/python ]; then PYTHON=$($venv/bin/python -c 'import sys; print(sys._base_executable)'); fi
    said=$("$PYTHON" -m venv --clear $venv 2>&1) || case $said in
        *"No module named"*|*ensurepip*) die "$PYTHON cannot make environments: install its venv module (Debian, Ubuntu: apt install python3-venv)" ;;
        *"No space left"*) die "the disk is full: $(free_gb) GB are free" ;;
        *) die "$PYTHON could not make $venv: $(echo "$said" | tail -n 1)" ;;
    esac
    echo "$PWD" > $venv/.place
fi

# What goes into it
echo "setup: installing into $venv with Python $wanted; once, a few minutes, up to ${SETUP_GB:-7} GB"
rm -f $venv/.installed
if ! $venv/bin/python -m pip install -qq -e '.[dev]' >$log 2>&1; then
    tmp=${TMPDIR:-/tmp}
    if grep -qi 'no space left' $log; then die "pip filled the disk: $(free_gb) GB are free here, $(free_gb "$tmp") GB in $tmp"; fi
    why=$(sed -n 's/^ERROR: //p' $log | tail -n 1)
    die "pip failed: ${why:-$(tail -n 1 $log)} (all it said: $log; run the same again to go on)"
fi
key > $venv/.installed
