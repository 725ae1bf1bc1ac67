"""The form of the core lessons, 00 to 15: what does not fit on a student's way is named, one line each.

    python tools/lessons.py          # exit status 1 if a lesson breaks a rule
    python tools/lessons.py --table  # cells, words of prose, pictures and stored bytes of each

The rules: at most 60 cells and 1,800 words (50 cells in 11 and 12), at most 1 MB; pictures that are stored are
600 pixels wide or more, and rows of pictures are labelled (`sheet`, not `picture_grid`); a test says what it proved.
And in every notebook "Run all" passes over the long cells (`skip_long_cells`).
"""
import base64
import io
import json
import re
import sys
from pathlib import Path

from PIL import Image

NBS = Path(__file__).resolve().parent.parent/'nbs'
CELLS, WORDS, BYTES, WIDE = 60, 1800, 1_000_000, 600
SHORT = {'11': 50, '12': 50} # the two longest on the way


def source(cell): return ''.join(cell['source'])


def words(cells):
    "Words of prose: what a student reads, answers and formulas too, without blocks of code."
    text = '\n'.join(source(c) for c in cells if c['cell_type'] == 'markdown')
    return len(re.sub(r'```.*?```', ' ', text, flags=re.S).split())


def widths(cell):
    "Widths of the pictures that a cell has stored."
    for output in cell.get('outputs', []):
        for kind, data in output.get('data', {}).items():
            if kind.startswith('image/') and 'svg' not in kind:
                yield Image.open(io.BytesIO(base64.b64decode(''.join(data)))).width


def is_test(code): return re.search(r'^ *(with .*: *)?(assert\b|test_(eq|close|fail|ne|warns)\()', code, re.M) is not None


def faults(path, cells):
    "What breaks a rule, in words."
    number, said = path.name[:2], []
    for what, found, most in (('cells', len(cells), SHORT.get(number, CELLS)), ('words', words(cells), WORDS),
                              ('bytes', path.stat().st_size, BYTES)):
        if found > most: said.append(f'{found:,} {what}, at most {most:,}')
    for i, cell in enumerate(cells):
        code = source(cell) if cell['cell_type'] == 'code' else ''
        if small := [w for w in widths(cell) if w < WIDE]:
            said.append(f'cell {i}: a picture {small[0]} pixels wide, at least {WIDE} are needed to see something')
        if 'picture_grid(' in code: said.append(f'cell {i}: picture_grid has no labels; use sheet or show_sheet')
        if is_test(code) and not cell['outputs'] and not re.match(r'#\| *(export|slow|cuda|eval)', code):
            said.append(f'cell {i}: a silent test; its last line should say what it proved')
    return said


def waits():
    "Notebooks in which \"Run all\" would wait for hours, or fail without a card."
    for path in sorted(NBS.rglob('[!.]*.ipynb')):
        code = [source(c) for c in json.loads(path.read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'code']
        if any(re.match(r'#\| *(slow|cuda)', c) for c in code) and not any('skip_long_cells()' in c for c in code):
            yield f'{path.relative_to(NBS)}: long cells, but no skip_long_cells()'


if __name__ == '__main__':
    lessons = {p: json.loads(p.read_text(encoding='utf-8'))['cells'] for p in sorted(NBS.glob('[01][0-9]_*.ipynb'))
               if p.name[:2] < '16'}
    if '--table' in sys.argv:
        for path, cells in lessons.items():
            pictures = [w for c in cells for w in widths(c)]
            print(f'{path.stem:<22}{len(cells):>4} cells {words(cells):>6,} words {len(pictures):>3} pictures '
                  f'{path.stat().st_size//1000:>5} KB  {len(faults(path, cells)):>3} against the rules')
    bad = [f'{path.stem}: {line}' for path, cells in lessons.items() for line in faults(path, cells)] + list(waits())
    print('\n'.join(bad) or f'lessons: all {len(lessons)} core lessons are in their form')
    sys.exit(bool(bad))
