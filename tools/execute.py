"""Run notebooks from top to bottom and store their outputs, as a reader will see them.

    python tools/execute.py nbs/07_resnet_generator.ipynb      # one lesson
    python tools/execute.py                                    # every lesson, in order
    python tools/execute.py --flags "slow" nbs/12_train.ipynb  # cells marked `#| slow` too

Cells that `nbdev_test` would skip (the `tst_flags` of settings.ini, `#| eval: false`, the closing `nbdev_export()`) are
skipped here too and keep the outputs they have. A cell that raises stops the run, and the notebook on disk stays as it was.
"""
import os, re, subprocess, sys, time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

from IPython.core import displaypub
from execnb.nbio import read_nb, write_nb
from execnb.shell import CaptureShell
from nbdev.config import get_config

DIRECTIVE = re.compile(r'^#\|[ \t]*(\w+):?[ \t]*(\S*)', re.M)


def skips(cell, flags):
    "Whether `nbdev_test` would leave `cell` out."
    if cell.cell_type != 'code' or 'nbdev_export(' in cell.source: return True
    directives = dict(DIRECTIVE.findall(cell.source))
    return directives.get('eval') == 'false' or bool(flags & directives.keys())


class InPlace(displaypub.CapturingDisplayPublisher):
    "Keeps what a notebook would show: a drawing that is updated replaces the one before."
    def publish(self, data, metadata=None, source=None, *, transient=None, update=False):
        name = (transient or {}).get('display_id')
        place = next((i for i, o in enumerate(self.outputs) if update and (o['transient'] or {}).get('display_id') == name), None)
        super().publish(data, metadata, source, transient=transient, update=update)
        if place is not None: self.outputs[place] = self.outputs.pop()


def execute(path, flags):
    "Run the notebook at `path` in its own folder and write it back with its outputs; False if a cell raised."
    path, start, home = Path(path).resolve(), time.time(), os.getcwd()
    nb = read_nb(path)
    os.chdir(path.parent)
    shell = CaptureShell(path, mpl_format='png')
    displaypub.CapturingDisplayPublisher = InPlace
    for i, cell in enumerate(nb.cells):
        if skips(cell, flags): continue
        cell.outputs = []
        shell.cell(cell)
        for out in cell.outputs:  # a progress bar redraws its line: keep what it showed last
            if out['output_type'] == 'stream': out['text'] = [re.sub(r'[^\n]*\r(?!\n)', '', ''.join(out['text']))]
        if shell.exc:
            print(f'{path.name}: cell {i} raised; nothing was stored\n{shell.prettytb(path)}', file=sys.stderr)
            os.chdir(home)
            return False
    os.chdir(home)
    write_nb(nb, path)
    subprocess.run(['nbdev_clean', '--fname', str(path)], check=True)
    print(f'{path.name}: {time.time() - start:.0f} s, {path.stat().st_size / 1024:.0f} KB')
    return True


if __name__ == '__main__':
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('notebooks', nargs='*', help='notebooks to run; all lessons without any')
    parser.add_argument('--flags', default='', help='flags of settings.ini to run as well, separated by spaces')
    args = parser.parse_args()
    cfg = get_config()
    flags = set(cfg.tst_flags.split()) - set(args.flags.split())
    sys.path.insert(0, str(cfg.config_path))
    paths = args.notebooks or sorted(p for p in Path(cfg.nbs_path).rglob('*.ipynb')
                                     if '.ipynb_checkpoints' not in p.parts)
    done = 0
    for path in paths:  # a fresh process each: no lesson may lean on what another left behind
        pid = os.fork() if len(paths) > 1 else 0
        if pid == 0 and len(paths) > 1: os._exit(0 if execute(path, flags) else 1)
        done += os.waitpid(pid, 0)[1] == 0 if pid else execute(path, flags)
    sys.exit(0 if done == len(paths) else 1)
