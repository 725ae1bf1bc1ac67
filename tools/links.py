"""Check every link and picture inside the repository: notebooks, README and the other pages.

    python tools/links.py          # prints what leads nowhere; exit status 1 if anything does

A link may name a file, and in a notebook or page a heading: `12_train.ipynb#the-log`. Addresses on other hosts are not visited.
"""
import re
import sys
from pathlib import Path

from execnb.nbio import read_nb

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r'!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)(?:\s+"[^"]*")?\)')


def text_of(path):
    "The Markdown of a page, without code."
    text = '\n\n'.join(c.source for c in read_nb(path).cells
                       if c.cell_type == 'markdown') if path.suffix == '.ipynb' else path.read_text()
    return re.sub(r'```.*?```|`[^`\n]*`', lambda m: ' '*len(m[0]) if m[0].startswith('```') else m[0].strip('`'), text,
                  flags=re.S)


def anchor(heading):
    "The name under which a heading is found: lower case, hyphens for blanks, no other signs."
    return re.sub(r'\s', '-', re.sub(r'[^\w\s-]', '', heading.strip().lower()))


def anchors(path):
    "All headings of a page; the second one of a name gets -1, and so on."
    seen, found = {}, set()
    for name in map(anchor, re.findall(r'^#+ (.*)$', text_of(path), flags=re.M)):
        found.add(f'{name}-{seen[name]}' if name in seen else name)
        seen[name] = seen.get(name, 0) + 1
    return found


def broken(page):
    "What is wrong with the links of a page."
    for link in LINK.findall(text_of(page)):
        if re.match(r'[a-z]+:', link): continue
        name, _, part = link.partition('#')
        target = page.parent/name if name else page
        if not target.exists(): yield f'{link}: no such file'
        elif part and target.suffix in ('.ipynb', '.md') and part not in anchors(target):
            yield f'{link}: no such heading'


if __name__ == '__main__':
    pages = [*sorted((ROOT/'nbs').rglob('*.ipynb')), *sorted(ROOT.glob('*.md'))]
    wrong = [f'{page.relative_to(ROOT)}: {problem}' for page in pages for problem in broken(page)]
    count = sum(len(LINK.findall(text_of(page))) for page in pages)
    print('\n'.join(wrong) or f'links: {count} links in {len(pages)} pages lead somewhere',
          file=sys.stderr if wrong else sys.stdout)
    sys.exit(bool(wrong))
