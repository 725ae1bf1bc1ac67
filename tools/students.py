"""Make the student edition of the exercises: the teacher's notebooks without their answers.

    python tools/students.py           # writes students/NN_name.ipynb, exit status 1 if that changed anything
    python tools/students.py --check   # and runs each: every check must say that there is no answer yet, nothing else may fail;
                                       # links must lead somewhere

`make students` installs nbgrader first. What stands between `### BEGIN SOLUTION` and `### END SOLUTION` is taken out by it.
The cells that define checks (`#| export`) and try them (`#| hide`) go too; the notebook imports its checks from the
library instead.
"""
import re
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

import nbformat
from links import LINK, anchors
from nbdev.config import get_config

ROOT = Path(__file__).resolve().parent.parent
STUB = 'raise NotImplementedError # your answer'


def site():
    "Address of the published site."
    return get_config().doc_host + get_config().doc_baseurl


def github():
    "Address of this release's files."
    cfg = get_config()
    return f'{cfg.git_url}/blob/v{cfg.version}'


def to_site(text):
    "A text of `nbs/exercises` whose links to notebooks lead to the site."
    def address(m):
        page = (ROOT/'nbs'/'exercises'/m[1]).resolve().relative_to(ROOT/'nbs')
        return f']({site()}/{page.with_suffix(".html")}{m[2]})'
    return re.sub(r'\]\((?!\w+:)([^)#\s]+\.ipynb)([^)\s]*)\)', address, text)


def dead_links(nb):
    "Links that lead nowhere: to a file that the student has not got, or to a page or heading that the site has not got."
    for link in LINK.findall('\n\n'.join(c.source for c in nb.cells if c.cell_type == 'markdown')):
        address, _, part = link.partition('#')
        if not link.startswith('http'): yield f'{link}: not in the student edition'
        elif address.startswith(site() + '/') and address.endswith('.html'):
            page = ROOT/'nbs'/address.removeprefix(site() + '/').replace('.html', '.ipynb')
            if not page.exists(): yield f'{link}: no such page'
            elif part and part not in anchors(page): yield f'{link}: no such heading'


def stripped(path):
    "The student edition of one notebook."
    from nbgrader.preprocessors import ClearSolutions
    nb = nbformat.read(path, 4)
    module = next(m[1] for c in nb.cells if (m := re.match(r'#\|\s*default_exp\s+(\S+)', c.source)))
    for c in nb.cells: # a student's notebook is alone: its links lead to the site, and to the answers
        if c.cell_type == 'markdown': c.source = to_site(c.source)
    nb.cells[0].source += (' Run it cell by cell: a check stops where an answer is still missing. When you are done: '
                           f'[one way to solve them]({github()}/nbs/exercises/{path.name}).')
    teachers = [c for c in nb.cells if c.cell_type == 'code' and re.match(r'#\|\s*(export|hide|default_exp)', c.source)
                and 'git+https' not in c.source]
    nb.cells = [c for c in nb.cells if c not in teachers]
    # on Colab the course is installed before
    first_code = next(i for i, c in enumerate(nb.cells) if c.cell_type == 'code' and 'git+https' not in c.source)
    nb.cells.insert(first_code, nbformat.v4.new_code_cell(f'from monet_course.{module} import *', id='checks'))
    for c in nb.cells:
        if c.cell_type == 'code': c.outputs, c.execution_count = [], None
    nb, _ = ClearSolutions(code_stub=dict(python=STUB), enforce_metadata=False).preprocess(nb, {})
    return nb


def wrong_cells(nb, folder):
    "(what is wrong with the stripped notebook, how many checks it has): a check must ask for an answer, any other cell must run."
    from execnb.shell import CaptureShell
    shell, said, checks = CaptureShell(folder), [], 0
    for cell in nb.cells:
        if cell.cell_type != 'code': continue
        shell.run(cell.source)
        error = shell.exc
        is_check = re.search(r'^check_\w+\(', cell.source, re.M)
        checks += bool(is_check)
        if is_check and not (type(error).__name__ == 'Wrong' and 'there is no answer yet' in str(error)):
            said.append(f'{cell.source!r}: {error!r}')
        if not is_check and error: said.append(f'{cell.source[:80]!r}: {error!r}')
    return said, checks


def main():
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('--check', action='store_true', help='run the stripped notebooks')
    args, bad, total = parser.parse_args(), [], 0
    out = ROOT/'students'
    out.mkdir(exist_ok=True)
    paths = [p for p in sorted((ROOT/'nbs'/'exercises').glob('*.ipynb')) if 'BEGIN SOLUTION' in p.read_text()]
    changed = [f'{p.name}: no exercise of this name any more; removed' for p in out.glob('*.ipynb')
               if p.name not in [q.name for q in paths]]
    for p in out.glob('*.ipynb'):
        if p.name not in [q.name for q in paths]: p.unlink()
    for path in paths:
        nb = stripped(path)
        text, target = nbformat.writes(nb) + '\n', out/path.name
        if not target.exists() or target.read_text(encoding='utf-8') != text:
            target.write_text(text, encoding='utf-8')
            changed.append(f'{path.name}: written anew; look at it and commit it')
        if args.check:
            said, checks = wrong_cells(nb, out)
            said += dead_links(nb)
            bad, total = bad + [f'{path.name}: {s}' for s in said], total + checks
    for line in bad + changed: print(line, file=sys.stderr)
    print(f'students: {len(paths)} notebooks in {out.relative_to(ROOT)}/'
          + (f', {total} checks ask for an answer, {len(bad)} problems' if args.check else ''))
    return bool(bad + changed)


if __name__ == '__main__': sys.exit(main())
