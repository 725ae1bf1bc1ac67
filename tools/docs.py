"""Build the site into _docs/: lessons with code and stored outputs, a page for each module, search, formulas without a script.

    python tools/docs.py          # `make docs` installs what it needs and opens the pages in a browser

Nothing is run but the import of the library. The pages are prepared in _proc/ and laid out by smalldocs,
which reads Quarto's settings.
"""
import ast
import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from execnb.nbio import read_nb, write_nb
from latex2mathml.converter import convert
from nbdev.config import get_config
from nbdev.showdoc import show_doc

import paint_page

ROOT = Path(__file__).resolve().parent.parent
NBS, PROC, OUT = ROOT/'nbs', ROOT/'_proc', ROOT/'_docs'
FORMULA = re.compile(r'(?P<code>```.*?```|`[^`\n]*`)|\$\$(?P<block>.+?)\$\$'
                     r'|(?<![\\$])\$(?P<line>[^$\n]+?(?:\n[^$\n]+?){0,2})\$(?!\d)', re.S)
FLAGS = dict(export='in the library', slow='takes minutes, not in the tests', cuda='needs a GPU')


def formulas(text):
    "LaTeX becomes MathML, which browsers show without a script; code stays as it is."
    def one(m):
        if m['code']: return m['code']
        return convert(' '.join((m['block'] or m['line']).split()), display='block' if m['block'] else 'inline')
    return FORMULA.sub(one, text)


def api_names():
    "{name: module} of everything public that is defined once."
    names = {}
    library = ROOT/'monet_course'
    for path in sorted(library.rglob('[a-z]*.py')):
        stem = '.'.join(path.relative_to(library).with_suffix('').parts)
        if stem.startswith('checks.'): continue
        module = importlib.import_module(f'monet_course.{stem}')
        for name in getattr(module, '__all__', []):
            thing = getattr(module, name)
            if callable(thing) and thing.__module__ != module.__name__: continue # re-exported: its page is where it is defined
            names.setdefault(name, []).append(stem)
    return {name: modules[0] for name, modules in names.items() if len(modules) == 1}


def linked(text, names, up=''):
    "`fit` in prose leads to its reference; headings, links and code blocks stay as they are."
    def one(m):
        name = m[1]
        return f'[`{name}`]({up}api/{names[name]}.md#{name.lower()})' if name in names else m[0]
    parts = re.split(r'(```.*?```|^#.*?$|!?\[[^\]]*\]\([^)]*\))', text, flags=re.S | re.M)
    return ''.join(p if i % 2 else re.sub(r'(?<!`)`(\w+)(?:\(\))?`(?!`)', one, p) for i, p in enumerate(parts))


def meant(nb, names):
    "The names that a notebook can mean: its own, those it imports, and of others only those that are no plain words (`noise`)."
    code = '\n'.join(c.source for c in nb.cells if c.cell_type == 'code')
    own = re.search(r'^#\|\s*default_exp\s+(\S+)', code, re.M)
    imported = set(re.findall(r'\w+', ' '.join(re.findall(r'^from monet_course\S* import ([^\n]*)', code, re.M))))
    return {n: m for n, m in names.items() if n in imported or (own and own[1] == m) or '_' in n or n != n.lower() or n == 'fit'}


def open_in(path, cfg):
    "Where else the notebook can be opened: at the release that its set-up cell installs."
    at = f'{cfg.user}/{cfg.repo}/blob/v{cfg.version}/{path.relative_to(ROOT).as_posix()}'
    return (f'::: {{.open-in}}\n[Open in Colab](https://colab.research.google.com/github/{at}) '
            f'[Open in Kaggle](https://kaggle.com/kernels/welcome?src=https://github.com/{at}) [Notebook on GitHub](https://github.com/{at})\n:::')


def last_sentence(text):
    "What the prose says just before a picture, as plain words: the picture's text for those who cannot see it."
    text = re.sub(r'```.*?```|^:::.*?$|^[#|>].*?$|\$\$.*?\$\$', '', text, flags=re.S | re.M)
    text = ' '.join(re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', text).replace('*', '').replace('`', '').replace('$',
                                                                                                            '').split())
    return re.split(r'(?<=[.!?])\s+(?=[A-Z])', text)[-1].rstrip(':')[:300]


def imports_only(source, least=4):
    "Is a cell nothing but imports and names that it passes on, and more than a few?"
    try: body = ast.parse(source).body
    except SyntaxError: return False
    passed_on = lambda node: isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == '_all_'
    return len(body) >= least and all(isinstance(node, (ast.Import, ast.ImportFrom)) or passed_on(node) for node in body)


def student_edition(path):
    "Where students find a notebook: an exercise without its answers, anything else as it is."
    students = ROOT/'students'/path.name
    return students if path.parent.name == 'exercises' and students.exists() else path


def prepare(path, names, cfg):
    "One notebook as readers should see it."
    inside = path.parent.relative_to(NBS) # ., exercises or workshop
    below, source = inside != Path('.'), student_edition(path)
    nb, cells, said = read_nb(source), [], path.stem
    if any(c.cell_type == 'code' for c in nb.cells): names = meant(nb, names)
    runs = any(c.cell_type == 'code' for c in nb.cells) and path.name != 'index.ipynb'
    for cell in nb.cells:
        if cell.cell_type == 'markdown':
            said = last_sentence(cell.source) or said
            # on the site, its pages are near
            if below: cell.source = re.sub(rf'{cfg.doc_host}{cfg.doc_baseurl}/([^)]*\.html)', r'../\1', cell.source)
            cell.source = formulas(linked(cell.source.replace('](../../students/',
                                                              '](../exercises/').replace('](../students/',
                                                                                         '](exercises/'), names, '../'*below))
            if not cells: # the title
                title, promise, rest = re.match(r'# +([^\n]*)\n*((?:>[^\n]*\n?)*)(.*)', cell.source, re.S).groups()
                head = dict(title=title, description=' '.join(promise.replace('>', ' ').split()) or None)
                cells.append(dict(cell_type='raw', metadata={},
                                  source='---\n' + yaml.safe_dump({k: v for k, v in head.items() if v},
                                                                  allow_unicode=True) + '---'))
                cell.source = (open_in(source, cfg) + '\n\n' if runs else '') + rest
            cells.append(cell)
            continue
        drawn = any('image/' in m for o in cell.outputs for m in o.get('data', {}))
        # its picture is for the reader, its code is not
        if drawn: cell.source = re.sub(r'^#\| hide$', '#| echo: false', cell.source, flags=re.M)
        if re.match(r'#\|\s*(hide|default_exp)', cell.source): continue
        lines = cell.source.split('\n')
        directives = [line[2:].strip() for line in lines if line.startswith('#|')]
        kept = [line for line in lines if not line.startswith('#|') or ':' in line]
        cell.source = '\n'.join(kept).strip('\n')
        if imports_only(cell.source): cell.source = '#| code-fold: true\n#| code-summary: Imports\n' + cell.source
        notes = [FLAGS[d] for d in directives if d in FLAGS and 'code-summary: Imports' not in cell.source]
        if notes:
            cells.append(dict(cell_type='markdown', metadata={}, source=f'::: {{.cell-note}}\n{"; ".join(notes)}\n:::'))
        if 'fig-alt' not in cell.source and drawn:
            cell.source = f'#| fig-alt: {json.dumps(said, ensure_ascii=False)}\n' + cell.source
        cells.append(cell)
    nb.cells = cells
    (PROC/inside).mkdir(exist_ok=True)
    write_nb(nb, PROC/inside/path.name)


def api_page(stem, names):
    "The reference of one module: signatures, parameters, sources."
    module = importlib.import_module(f'monet_course.{stem}')
    public = [n for n in getattr(module, '__all__', []) if names.get(n) == stem
              and getattr(getattr(module, n), '__doc__', None) and callable(getattr(module, n))]
    intro = (module.__doc__ or '').strip()
    parts = [f'---\ntitle: monet_course.{stem}\ndescription: {intro!r}\n---\n']
    for name in public:
        thing = getattr(module, name)
        if getattr(thing, '__module__', None) != module.__name__: continue
        parts.append(f'## {name} {{#{name.lower()}}}\n\n'
                     + re.sub(r'^#+ .*\n', '', show_doc(thing, name=name)._repr_markdown_().replace('---\n\n', '', 1),
                              flags=re.M))
    (PROC/'api'/f'{stem}.md').write_text('\n\n'.join(parts) + '\n')


def exercise_entries():
    "The exercises in the sidebar: how they work, then one for each lesson, by its name alone."
    paths = sorted((PROC/'exercises').glob('*.ipynb'), key=lambda p: (p.stem != '00_how_to', p.stem))
    titles = [re.search(r'^title: (.*)$', read_nb(p).cells[0].source, re.M)[1].strip('\'"') for p in paths]
    return [dict(text=title.removeprefix('Exercises: ').removeprefix('Exercises').strip() or 'How they work',
                 href=f'exercises/{p.name}') for p, title in zip(paths, titles)]


def settings(cfg):
    "Quarto's settings, with what settings.ini knows."
    site = yaml.safe_load((ROOT/'_quarto.yml').read_text())
    site.pop('metadata-files', None)
    site['website']['site-url'] = cfg.doc_host + cfg.doc_baseurl
    sidebar = yaml.safe_load((NBS/'sidebar.yml').read_text())['website']['sidebar']
    sidebar['contents'].append(dict(section='Exercises', contents=exercise_entries()))
    modules = sorted(p.stem for p in (PROC/'api').glob('*.md'))
    for part in sidebar['contents']:
        if 'contents' in part:
            part['contents'] = [x for x in part['contents']
                                if (PROC/(x['href'] if isinstance(x, dict) else x)).exists()]
    sidebar['contents'].append(dict(section='Reference', contents=[f'api/{m}.md' for m in modules]))
    site['website']['sidebar'] = {**site['website'].get('sidebar', {}), **sidebar}
    site['project']['output-dir'] = '../_docs'
    return site


def main():
    cfg, names = get_config(), api_names()
    shutil.rmtree(PROC, ignore_errors=True); shutil.rmtree(OUT, ignore_errors=True)
    (PROC/'api').mkdir(parents=True)
    for path in sorted(NBS.rglob('*.ipynb')): prepare(path, names, cfg)
    shutil.copytree(NBS/'images', PROC/'images')
    shutil.copy(NBS/'styles.css', PROC)
    (PROC/'changelog.md').write_text((ROOT/'CHANGELOG.md').read_text())
    painter = paint_page.painter_files()
    (PROC/'paint_here.md').write_text(paint_page.page(formulas(linked((NBS/'paint_here.md').read_text(), names)),
                                                      bool(painter)))
    for stem in sorted(set(names.values())): api_page(stem, names)
    (PROC/'_quarto.yml').write_text(yaml.safe_dump(settings(cfg), sort_keys=False))
    subprocess.run([Path(sys.executable).with_name('smalldocs'), 'render', PROC], check=True)
    paint_page.put(painter, OUT/'paint_here')
    shutil.make_archive(OUT/'students', 'zip', ROOT, 'students')
    for css in (OUT/'site_libs').rglob('*.css'): # themes ask a third party for fonts; the reader's own serve as well
        css.write_text(re.sub(r'@import\s*url\(["\']?https?://[^)]*\)\s*;|@import\s*["\']https?://[^"\']*["\']\s*;', '',
                              css.read_text()))


if __name__ == '__main__': main()
