"""Run each notebook alone: copied into an empty folder, in a Jupyter kernel, "Run all".

tools/anywhere.sh makes the environment and calls this. Notebooks that need nothing but the library run first.
Then the extras that set-up cells name (`monet_course[onnx]`) are installed, and the others run.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from configparser import ConfigParser
from pathlib import Path
from shutil import copy

from jobs import ROOT, Job, notebooks, run_all

# the command jupyter-execute
EXECUTE = [sys.executable, '-c', 'from nbclient.cli import main; main()', '--kernel_name=python3']


def settings():
    parser = ConfigParser(delimiters=['='])
    parser.read(ROOT/'settings.ini', encoding='utf-8')
    return parser['DEFAULT']


def code(path):
    "The source of each code cell."
    return [''.join(c['source']) for c in json.loads((ROOT/path).read_text(encoding='utf-8'))['cells']
            if c['cell_type'] == 'code']


def extras(path):
    "The extras that a notebook's set-up cell names; a set-up cell that is missing or names another release is an error."
    tag = f'monet_course@v{settings()["version"]}'
    setup = next((s for s in code(path) if 'pip' in s), '')
    if tag not in setup: sys.exit(f'{path}: its set-up cell does not install {tag}')
    found = re.search(r'monet_course\[([\w,]+)\]', setup)
    return found[1].split(',') if found else []


def packages():
    "What the extras bring that the library alone does not."
    cfg, name = settings(), lambda r: re.match(r'[\w-]+', r)[0]
    base = {name(r) for r in cfg['requirements'].split()}
    return sorted({name(r) for extra in ('score', 'jury', 'onnx') for r in cfg[f'{extra}_requirements'].split()} - base)


def alone(path, folder):
    "The job that runs one notebook from an empty folder."
    home = folder/'-'.join(path.with_suffix('').parts)
    home.mkdir()
    copy(ROOT/path, home)
    return Job('/'.join(path.parts[1:]).removesuffix('.ipynb'), [*EXECUTE, path.name], home)


def main():
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('words', nargs='*', help='parts of paths; every notebook without any')
    parser.add_argument('--limit', type=float, default=300, help='seconds a notebook may take (default 300)')
    parser.add_argument('--workers', type=int, default=2, help='notebooks at a time (default 2)')
    parser.add_argument('--extras', action='store_true', help='only print the packages of the extras')
    args = parser.parse_args()
    if args.extras: return print(*packages()) or True
    nbs = [nb for nb in notebooks(args.words) if code(nb)]
    wanted = {nb: extras(nb) for nb in nbs}
    with tempfile.TemporaryDirectory() as folder:
        plain, more = ([alone(nb, Path(folder)) for nb in nbs if bool(wanted[nb]) == some] for some in (False, True))
        passed = run_all(plain, args.limit, args.workers)
        if more and 'WHEEL' in os.environ: # without it, the extras are there already
            named = ','.join(sorted({extra for nb in nbs for extra in wanted[nb]}))
            subprocess.run([sys.executable, '-m', 'pip', 'install', '-qq', '--disable-pip-version-check',
                            f'monet_course[{named}] @ {Path(os.environ["WHEEL"]).as_uri()}'], check=True)
            print(f'anywhere: with the extras {named}', flush=True)
        passed += run_all(more, args.limit, args.workers)
    print(f'anywhere: {passed} notebooks run alone, {len(nbs) - passed} do not')
    return passed == len(nbs)


if __name__ == '__main__': sys.exit(0 if main() else 1)
