"""Run lessons as tests, two at a time, each in its own process and with a time limit.

The processes are forked from one that has imported PyTorch and fastai: that takes seconds, and there are many lessons.

    python tools/test.py           # every lesson
    python tools/test.py 07 workshop   # notebooks with 07 or workshop in their path
    python tools/test.py --limit 600 --flags slow 09
    python tools/test.py --cards 1 # every lesson, its `#| cuda` cells too, on a pretended card (tools/card)

A lesson passes when `nbdev_test` says so. The output of a lesson is shown only if it fails. The last line counts.
"""
import json
import os
import sys
import tempfile
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from importlib.util import find_spec
from pathlib import Path

from jobs import ROOT, Call, notebooks, on_cards, run_all

PRELOAD = ('nbdev.test', 'fastai.vision.all') # nothing of the project


def lesson(path, flags):
    "nbdev's own runner, as `nbdev_test --path` (nbdev 2) and `nbdev-test` (nbdev 3) call it."
    from nbdev.test import nbdev_test
    nbdev_test.__wrapped__(str(path), flags, n_workers=0, timing=True)


def as_on_cards(path, folder):
    "A copy of a notebook in which 'cuda' is read as the pretended card."
    sys.path.append(str(ROOT/'tools/card'))
    from pretended_card import as_card
    nb, copy = json.loads((ROOT/path).read_text(encoding='utf-8')), Path(folder)/'-'.join(path.parts)
    for cell in nb['cells']:
        if cell['cell_type'] == 'code': cell['source'] = as_card(''.join(cell['source']))
    copy.write_text(json.dumps(nb), encoding='utf-8')
    return copy


def main():
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('words', nargs='*', help='parts of paths; every lesson without any')
    parser.add_argument('--limit', type=float, default=240, help='seconds a lesson may take (default 240)')
    parser.add_argument('--workers', type=int, default=2, help='lessons at a time (default 2)')
    parser.add_argument('--flags', default='', help='flags of settings.ini to run as well, e.g. "slow"')
    parser.add_argument('--cards', type=int, help='run on so many pretended cards')
    args = parser.parse_args()
    if not find_spec('nbdev'): sys.exit(f'{sys.executable} has no nbdev: `make setup` installs it')
    nbs = notebooks(args.words)
    if not nbs: sys.exit(f'no lesson in nbs/ matches {" ".join(args.words) or "*.ipynb"}')
    with tempfile.TemporaryDirectory() as folder:
        names = ['/'.join(nb.with_suffix('').parts[1:]) for nb in nbs]
        if args.cards is not None:
            nbs, args.flags = [as_on_cards(nb, folder) for nb in nbs], f'{args.flags} cuda'.strip()
            os.environ.update(on_cards(args.cards))
        os.environ.update(OMP_NUM_THREADS='1', PYTHONUNBUFFERED='1')
        jobs = [Call(name, [lesson, nb, args.flags], ROOT, 'Success.', preload=PRELOAD) for name, nb in zip(names, nbs)]
        passed = run_all(jobs, args.limit, args.workers)
    print(f'{passed} passed, {len(jobs) - passed} failed')
    return passed == len(jobs)


if __name__ == '__main__': sys.exit(0 if main() else 1)
