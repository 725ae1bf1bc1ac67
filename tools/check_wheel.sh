#!/bin/sh
# Build the sdist, the wheel out of the sdist, install the wheel where nbdev is not, import it and paint a picture outside of the checkout.
# Uses a fresh environment in .venv-wheel (about 6 GB and some minutes), removed at the end unless KEEP=1.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
env=$root/.venv-wheel
die() { echo "wheel-check: $*" >&2; exit 1; }
finish() { rm -rf "$work"; if [ -z "${KEEP:-}" ]; then rm -rf "$env"; fi; }
trap finish EXIT

free=$(df -Pk . | awk 'NR == 2 { print int($4/1048576) }')
if [ "$free" -lt "${SETUP_GB:-7}" ]; then die "the disk is too full: about ${SETUP_GB:-7} GB are needed here, $free GB are free"; fi

# `build` makes the sdist first and the wheel out of it
.venv/bin/python -m build --outdir "$work/dist" . >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; die "the build failed"; }
for f in "$work"/dist/*; do echo "wheel-check: built $(basename "$f")"; done
rm -rf "$env"
.venv/bin/python -m venv "$env"
"$env/bin/python" -m pip install -qq "$work"/dist/*.whl
if "$env/bin/python" -c 'import nbdev' 2>/dev/null; then die "nbdev was installed too: it must not be a requirement of the library"; fi
cd "$work"
"$env/bin/python" -c 'from monet_course.train import fit'
"$env/bin/python" -c 'import monet_course, sys; sys.exit(not monet_course.__file__.startswith(sys.prefix))' || die "this was not the installed library"
for command in monet_fit monet_paint monet_score monet_submit monet_export; do "$env/bin/$command" --help >/dev/null || die "$command --help failed"; done

# the painter travels in the wheel: a picture is painted by nothing but what was just installed
"$env/bin/python" -c 'from PIL import Image; Image.radial_gradient("L").convert("RGB").save("photo.png")'
"$env/bin/monet_paint" photo.png --device cpu >paint.log 2>&1 || { cat paint.log >&2; die "monet_paint failed"; }
"$env/bin/python" -c 'from PIL import Image, ImageChops; a, b = map(Image.open, ("photo.png", "photo_monet.png")); assert a.size == b.size and ImageChops.difference(a, b).getbbox()' || die "nothing was painted"
echo "wheel-check: installed from the wheel, imported without nbdev, and a picture painted"
