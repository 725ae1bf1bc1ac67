#!/bin/sh
# Does every lesson run alone, as on Colab, on Kaggle or in a bare Jupyter?
# Builds sdist and wheel, installs the wheel with the newest fastai and fastcore and without nbdev, tries the commands, and then runs each lesson from a
# copy in an empty folder. Uses an environment of its own, .venv-anywhere (about 6 GB and some minutes the first time); it stays for the next run.
#   sh tools/anywhere.sh 05 exercises    # only notebooks with these in their path
set -eu
cd "$(dirname "$0")/.."
root=$PWD
env=$root/.venv-anywhere
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
die() { echo "anywhere: $*" >&2; exit 1; }
pip() { "$env/bin/python" -m pip --disable-pip-version-check "$@" || die "pip failed; run the same again to go on"; }

if ! "$env/bin/python" -m pip --version >/dev/null 2>&1; then
    free=$(df -Pk . | awk 'NR == 2 { print int($4/1048576) }')
    if [ "$free" -lt "${SETUP_GB:-7}" ]; then die "the disk is too full: about ${SETUP_GB:-7} GB are needed here, $free GB are free"; fi
    .venv/bin/python -m venv --clear "$env"
fi

# `build` makes the sdist first and the wheel out of it
.venv/bin/python -m build --outdir "$work/dist" . >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; die "the build failed"; }
wheel=$(ls "$work"/dist/*.whl)
extras=$(.venv/bin/python tools/anywhere.py --extras)
pip uninstall -qq -y $extras 2>/dev/null # what a lesson does not ask for must not be there
pip install -qq --upgrade --upgrade-strategy eager fastai fastcore nbclient ipykernel "$wheel"
pip install -qq --force-reinstall --no-deps "$wheel"
if "$env/bin/python" -c 'import nbdev' 2>/dev/null; then die "nbdev was installed too: it must not be a requirement of the library"; fi
"$env/bin/python" -c 'from importlib.metadata import version as v; print("anywhere:", *(f"{p} {v(p)}" for p in ("fastai", "fastcore", "torch", "torchvision", "numpy", "pillow")))'

# the six commands, and a picture painted by nothing but what was just installed, away from the checkout
cd "$work"
"$env/bin/python" -c 'import monet_course, sys; sys.exit(not monet_course.__file__.startswith(sys.prefix))' || die "this was not the installed library"
for command in monet_fit monet_paint monet_score monet_submit monet_download monet_export; do "$env/bin/$command" --help >/dev/null || die "$command --help failed"; done
"$env/bin/python" -c 'from PIL import Image; Image.radial_gradient("L").convert("RGB").save("photo.png")'
"$env/bin/monet_paint" photo.png --device cpu >paint.log 2>&1 || { cat paint.log >&2; die "monet_paint failed"; }
"$env/bin/python" -c 'from PIL import Image, ImageChops; a, b = map(Image.open, ("photo.png", "photo_monet.png")); assert a.size == b.size and ImageChops.difference(a, b).getbbox()' || die "nothing was painted"

cd "$root"
WHEEL=$wheel "$env/bin/python" tools/anywhere.py "$@"
