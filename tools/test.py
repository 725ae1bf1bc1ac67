"""Run lessons as tests, two at a time, each in its own process and with a time limit.

    python tools/test.py           # every lesson
    python tools/test.py 05 07     # lessons with 05 or 07 in their path
    python tools/test.py --limit 600 --flags slow 09

A lesson passes when `nbdev_test` says so. The output of a lesson is shown only if it fails. The last line counts.
"""
import os, signal, sys, time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen, TimeoutExpired

ROOT = Path(__file__).resolve().parent.parent
NBDEV_TEST = Path(sys.executable).with_name('nbdev_test')
running = set()


def lessons(words):
    "The notebooks that `nbdev_test` would run, in order."
    nbs = [p.relative_to(ROOT) for p in sorted((ROOT/'nbs').rglob('*.ipynb'))]
    nbs = [p for p in nbs if not any(part.startswith(('_', '.')) for part in p.parts)]
    return [p for p in nbs if not words or any(w in str(p) for w in words)]


def stop(proc):
    "End a test and everything it started."
    try: os.killpg(proc.pid, signal.SIGKILL)
    except ProcessLookupError: pass


def run(path, limit, flags):
    "Test one notebook: (did it pass?, seconds, what it said)."
    start = time.time()
    env = dict(os.environ, OMP_NUM_THREADS='1', PYTHONUNBUFFERED='1')
    command = [str(NBDEV_TEST), '--path', str(path), '--flags', flags, '--n_workers', '0', '--timing']
    proc = Popen(command, cwd=ROOT, env=env, stdout=PIPE, stderr=STDOUT, text=True, errors='replace', start_new_session=True)
    running.add(proc)
    try: said = proc.communicate(timeout=limit)[0]
    except TimeoutExpired:
        stop(proc)
        said = proc.communicate()[0] + f'{path}: ran out of time, stopped after {limit:g} s (--limit sets it)\n'
    running.discard(proc)
    return proc.returncode == 0 and 'Success.' in said, time.time() - start, said


def main():
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('words', nargs='*', help='parts of paths; every lesson without any')
    parser.add_argument('--limit', type=float, default=240, help='seconds a lesson may take (default 240)')
    parser.add_argument('--workers', type=int, default=2, help='lessons at a time (default 2)')
    parser.add_argument('--flags', default='', help='flags of settings.ini to run as well, e.g. "slow"')
    args = parser.parse_args()
    nbs, passed = lessons(args.words), 0
    if not NBDEV_TEST.exists(): sys.exit(f'{NBDEV_TEST} is missing: `make setup` installs it')
    if not nbs: sys.exit(f'no lesson in nbs/ matches {" ".join(args.words) or "*.ipynb"}')
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))  # ended from outside: as with Ctrl-C, leave no test behind
    with ThreadPoolExecutor(args.workers) as pool:
        jobs = {pool.submit(run, nb, args.limit, args.flags): nb for nb in nbs}
        try:
            for job in as_completed(jobs):
                ok, seconds, said = job.result()
                passed += ok
                print(f'{"ok" if ok else "FAILED"} {seconds:.0f} s {jobs[job].stem}', flush=True)
                if not ok: print(said, flush=True)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for proc in list(running): stop(proc)
            sys.exit('interrupted')
    print(f'{passed} passed, {len(nbs) - passed} failed')
    return passed == len(nbs)


if __name__ == '__main__': sys.exit(0 if main() else 1)
