"""Run commands two at a time, each in its own process group and with a time limit; the last line counts: `N passed, N failed`."""
import os, signal, sys, time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen, TimeoutExpired

ROOT = Path(__file__).resolve().parent.parent
running = set()


@dataclass
class Job:
    name: str # said in its line
    command: list
    cwd: Path # where it runs
    ends: str = '' # must be in its output, or it has failed
    env: dict = field(default_factory=dict) # added to this process's


def notebooks(words=()):
    "The notebooks of the course, in order; with `words` those with one of them in their path. Paths are relative to the project."
    nbs = [p.relative_to(ROOT) for p in sorted((ROOT/'nbs').rglob('*.ipynb'))]
    nbs = [p for p in nbs if not any(part.startswith(('_', '.')) for part in p.parts)]
    return [p for p in nbs if not words or any(w in str(p) for w in words)]


def on_cards(cards, kind='T4'):
    "The environment of a process that sees so many pretended cards (tools/card)."
    return dict(PYTHONPATH=os.pathsep.join(map(str, (ROOT/'tools/card', ROOT/'tools', ROOT))),
                PRETENDED_CARDS=str(cards), PRETENDED_KIND=kind)


def stop(proc):
    "End a job and everything it started; on Windows the job alone."
    try: os.killpg(proc.pid, signal.SIGKILL) if hasattr(os, 'killpg') else proc.kill()
    except ProcessLookupError: pass


def run(job, limit):
    "(did it pass?, seconds, what it said)."
    start, env = time.time(), dict(os.environ, OMP_NUM_THREADS='1', PYTHONUNBUFFERED='1', **job.env)
    proc = Popen(list(map(str, job.command)), cwd=job.cwd, env=env, stdout=PIPE, stderr=STDOUT, text=True,
                 encoding='utf-8', errors='replace', start_new_session=True)
    running.add(proc)
    try: said = proc.communicate(timeout=limit)[0]
    except TimeoutExpired:
        stop(proc)
        said = proc.communicate()[0] + f'{job.name}: ran out of time, stopped after {limit:g} s (--limit sets it)\n'
    running.discard(proc)
    return proc.returncode == 0 and job.ends in said, time.time() - start, said


def run_all(jobs, limit, workers):
    "Run jobs, a line each as they end, the output of those that fail; how many passed."
    passed = 0
    # ended from outside: as with Ctrl-C, leave no job behind
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    with ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(run, job, limit): job for job in jobs}
        try:
            for future in as_completed(futures):
                ok, seconds, said = future.result()
                passed += ok
                print(f'{"ok" if ok else "FAILED"} {seconds:.0f} s {futures[future].name}', flush=True)
                if not ok: print(said, flush=True)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for proc in list(running): stop(proc)
            sys.exit('interrupted')
    return passed
