"""Run lessons as tests, two at a time, each in its own process and with a time limit.

    python tools/test.py           # every lesson
    python tools/test.py 05 07     # lessons with 05 or 07 in their path
    python tools/test.py --limit 600 --flags slow 09

A lesson passes when `nbdev_test` says so. The output of a lesson is shown only if it fails. The last line counts.
"""
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from importlib.util import find_spec

from jobs import ROOT, Job, notebooks, run_all

# nbdev's own runner, as `nbdev_test --path` (nbdev 2) and `nbdev-test` (nbdev 3) call it
NBDEV_TEST = 'import sys; from nbdev.test import nbdev_test; nbdev_test.__wrapped__(sys.argv[1], sys.argv[2], n_workers=0, timing=True)'


def main():
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('words', nargs='*', help='parts of paths; every lesson without any')
    parser.add_argument('--limit', type=float, default=240, help='seconds a lesson may take (default 240)')
    parser.add_argument('--workers', type=int, default=2, help='lessons at a time (default 2)')
    parser.add_argument('--flags', default='', help='flags of settings.ini to run as well, e.g. "slow"')
    args = parser.parse_args()
    if not find_spec('nbdev'): sys.exit(f'{sys.executable} has no nbdev: `make setup` installs it')
    jobs = [Job(nb.stem, [sys.executable, '-c', NBDEV_TEST, nb, args.flags], ROOT, ends='Success.') for nb in notebooks(args.words)]
    if not jobs: sys.exit(f'no lesson in nbs/ matches {" ".join(args.words) or "*.ipynb"}')
    passed = run_all(jobs, args.limit, args.workers)
    print(f'{passed} passed, {len(jobs) - passed} failed')
    return passed == len(jobs)


if __name__ == '__main__': sys.exit(0 if main() else 1)
