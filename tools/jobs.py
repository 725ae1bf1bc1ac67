"""Run commands two at a time, each in its own process group and with a time limit; the last line counts: `N passed, N failed`."""
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from subprocess import STDOUT, Popen, TimeoutExpired
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
running = set()
one_at_a_time = threading.Lock() # an exit code can be read once, and each start of a process looks for all of them


@dataclass
class Job:
    "A command with a process and a process group of its own."
    name: str # said in its line
    command: list
    cwd: Path # where it runs
    ends: str = '' # must be in its output, or it has failed
    env: dict = field(default_factory=dict) # added to this process's

    def start(self, log):
        env = dict(os.environ, OMP_NUM_THREADS='1', PYTHONUNBUFFERED='1', **self.env)
        with open(log, 'wb') as out:
            return Popen(list(map(str, self.command)), cwd=self.cwd, env=env, stdout=out, stderr=STDOUT, start_new_session=True)

    def wait(self, proc, limit):
        "The exit code; None if the time was too short."
        try: return proc.wait(limit)
        except TimeoutExpired: return None


@dataclass
class Call(Job):
    """A function with a process of its own, forked from one that has imported `preload` once (where processes can fork).

    The environment is this process's: set it before the first call starts.
    """
    preload: tuple = () # names of modules

    def start(self, log):
        if self.env: raise ValueError(f'{self.name}: a call has the environment of this process')
        # macOS could fork, but not safely once PyTorch is loaded
        fork = sys.platform != 'darwin' and 'forkserver' in multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context('forkserver' if fork else 'spawn')
        if fork: context.set_forkserver_preload(list(self.preload))
        proc = context.Process(target=call, args=(self.command, self.cwd, log))
        with one_at_a_time: proc.start()
        return proc

    def wait(self, proc, limit):
        wait([proc.sentinel], limit) # reads nothing
        with one_at_a_time: return proc.exitcode


def call(command, cwd, log):
    "In the new process: as if a fresh Python had been started in `cwd` with `log` for its output."
    if hasattr(os, 'setsid'): os.setsid()
    with open(log, 'wb') as out:
        for stream in (sys.stdout, sys.stderr): os.dup2(out.fileno(), stream.fileno())
    os.chdir(cwd)
    multiprocessing.set_start_method(None, force=True)
    sys.path[0], sys.modules['__main__'] = '', ModuleType('__main__')
    del sys.modules[__name__] # a lesson may have a `jobs` of its own
    function, *args = command
    function(*args)


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
    except ProcessLookupError:
        with one_at_a_time: proc.kill()


def run(job, limit):
    "(did it pass?, seconds, what it said)."
    start = time.time()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder)/'log'
        proc = job.start(log)
        running.add(proc)
        code = job.wait(proc, limit)
        stop(proc) # whatever it left behind, too
        if code is None: job.wait(proc, 9)
        running.discard(proc)
        said = log.read_text(encoding='utf-8', errors='replace') if log.exists() else ''
    if code is None: said += f'{job.name}: ran out of time, stopped after {limit:g} s (--limit sets it)\n'
    return code == 0 and job.ends in said, time.time() - start, said


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
            signal.signal(signal.SIGINT, signal.SIG_IGN) # a second Ctrl-C changes nothing
            pool.shutdown(wait=False, cancel_futures=True)
            for proc in list(running): stop(proc)
            sys.exit('interrupted')
    return passed
