"""Move the rooms: renumber the lessons, and give their plumbing notebooks of its own in nbs/workshop and nbs/apps.

Run once, from the root of the repository; kept so that the move can be read. A lesson keeps what the table below does not take from it. A piece is a cell
(its id) or a definition (its name), which leaves its cell with the comments above it. Imports follow: each name is imported from where it stands now.
"""
import ast
import builtins
import json
import os
import re
import subprocess
import symtable
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NBS = ROOT/'nbs'

# --- what goes where

RENAMED = {'00_data': '01_data', '01_autoencoders': '02_autoencoders', '02_gan_losses': '04_gan_losses',
           '03_dcgan': '05_dcgan', '04_upsampling': '06_upsampling',
           '05_resnet_generator': '07_resnet_generator', '06_unet_generator': '08_unet_generator',
           '07_patchgan': '09_patchgan', '22_pix2pix': '10_pix2pix',
           '08_cyclegan': '11_cyclegan', '09_train': '12_train', '10_metrics': '13_metrics', '11_paint': '14_paint',
           '12_experiments': '16_experiments',
           '13_claims': '17_claims', '14_download': 'apps/download', '15_faults': 'workshop/faults',
           '16_processes': 'apps/launch', '17_export': 'apps/export',
           '26_notebooks': 'workshop/notebook', '27_recipes': 'workshop/recipes', '28_devices': 'workshop/devices'}
TITLES = {'14_download': 'the notebook on downloads', '15_faults': 'the notebook on faults',
          '16_processes': 'the notebook on several processes',
          '17_export': 'the notebook on export', '26_notebooks': 'the notebook on notebooks',
          '27_recipes': 'the notebook on recipes', '28_devices': 'the notebook on devices'}
MODULES = {'download': 'apps.download', 'processes': 'apps.launch', 'export': 'apps.export',
           'notebook': 'workshop.notebook', 'recipes': 'workshop.recipes', 'devices': 'workshop.devices',
           'faults': 'workshop.faults'}

# new notebook: (title, promise, pieces by old notebook); a piece 'a:b' is every cell from a to b, '+a' is a copy
SPLIT = {
 'workshop/core': ('What every module needs',
                   'Checks of arguments, errors in one line, a command made from a function, a progress bar',
    {'02_gan_losses': 'check_choice f7c57c80', '04_upsampling': 'check_positive e4ca53a6',
     '00_data': 'one_line 531bc985 1f51e561 9d7e3620', '11_paint': 'bar ends_with'}),
 'workshop/files': ('Files',
                    'Nothing half-written: a file stands there whole or not at all, and what a killed process left is '
                    'swept away',
    {'00_data': '00972fbe writing take_place sweep write_new ead731df', '09_train': 'FULL_DISK'}),
 'workshop/pictures': ('Pictures',
                       'From a picture file to a tensor and back: orientation, colour profile, 16 bits, alpha, and '
                       'what is wrong with a file in one sentence',
    {'00_data': '7cc5769d 5a55ab18 1b6dfaed picture_grid show_pictures 45b58437 f2257d69 7915aba5 b5bb440e 8dc74bf0 94030fd8 scale 5e7d5567 to_batch 6a8bb4e3 write_picture contents',
     '10_metrics': 'read_picture',
     '11_paint': '3247f4d6 WORKING_SIZE working_size scaled df822cad 3e5b291e 5ad907f7 24d6160c 81d1ae08'}),
 'workshop/folders': ('Folders',
                      'Who is painted where: a folder of pictures becomes a folder of paintings, and nothing is '
                      'written over',
    {'11_paint': '11031cc6 4a8558a0 81e306c8 f2bf136e 0514b40f 44306c61 50f6519c folder_jobs'}),
 'workshop/captions': ('Sentences and pictures',
                       'A world of 48 scenes, each with a picture, and a grammar that writes its captions',
                       {'25_stackgan': '8ea9ad51:0de301b8'}),
 'workshop/scenes': ('Scenes',
                     'Landscapes drawn from a seed, each as a photo and as a painting made of strokes: pictures with a '
                     'known truth',
    {'00_data': 'b44a83f2:5781e314 58c861b1:1946eb84'}),
 'workshop/digits': ('Digits', 'Small handwritten digits that come with a package, without a download',
                     {'00_data': '97931714:60284c99'}),
 'workshop/tfrecords': ('TFRecords', "The contest's records read without TensorFlow", {'00_data': '25a5ed20:ec8e2279'}),
 'workshop/truth': ('Scores against the truth',
                    'How far a picture is from the true painting: tone, texture, PSNR and SSIM, and the simplest thing '
                    'to beat',
    {'00_data': '81db600b:9553d408 bf9e4d94', '10_metrics': '78a486f5 55c2e14f a6e61744'}),
 'workshop/inception': ('Inception',
                        'The network of nearly all published FIDs: its layers, its resizer, and where its weights come '
                        'from',
    {'10_metrics': '56f8f512 4888633e 21d09603 resize_tf1 2c95cd9d download_inception inception_file INCEPTION_URL INCEPTION_SHA256 INCEPTION_FILES f9bcaf65 df1c1a16 7f4ca01e 0e546091'}),
 'workshop/features': ('Features',
                       'Networks that look at pictures for a score: what they see becomes a table of numbers',
    {'10_metrics': '4d076b9d:f346a5cf Lite0 Inception EXTRACTORS load_extractor 332b013f',
     '19_jury': 'efficientnet_lite 9408907e'}),
 'workshop/registry': (None, None, {'08_cyclegan': '514d6233 cb210731'}),
 'workshop/checkpoint': ('Checkpoints',
                         'The whole state of a training in one file, so that it goes on after a stop as if nothing had '
                         'happened; and a generator in another',
    {'09_train': '927d39ba TrainingDiverged check_finite 6bf00c8f 944c8c32 e0e896cc +1198c8ef 0f70744a:2de0b6ee 39ec150a:acb1bc91', '08_cyclegan': '70c30748 7165508b 4506ac5d'}),
 'workshop/log': ('The log', 'Losses in a file and in a plot, pictures of the same photos as the training goes on',
                  {'09_train': 'c3ef998f log_columns LossLog +1198c8ef 3950a3ff 9b29e339 0ef6f8c7 d35c8efc'}),
 'workshop/run': ('Runs', 'The settings of a training, the folder it is kept in, and a generator in a file',
    {'09_train': 'f1664438 bb2ed9a9 6469e64e CONFIGS _config_class config_class make_config setting_comments versions write_config RunFolder create log plot_losses 9cf44d7c 5d54233b plain_words NO_MEMORY NO_WAY 671df81c'}),
 'workshop/processes': ('Several processes', 'What processes that train together must agree on',
                        {'09_train+': '1005e13b', '16_processes': 'fd039625:c0cdbd4d', '15_faults': 'starter',
                         '09_train': '6cdfbb6e 61c62fc1'}),
 'apps/fit': ('monet_fit', 'Train on a folder of pictures from the command line', {'09_train': '657680c9:49c53d76'}),
 'apps/paint': ('monet_paint', 'Paint a photo, or a folder of them, from the command line',
                {'11_paint': 'd820a5f8 be9f2cfa 3468a813 paint_command paint_parser monet_paint 563ba85f:16100c62'}),
 'apps/score': ('monet_score', 'Score two folders of pictures from the command line',
                {'10_metrics': '319f3678:8fbb25ee'}),
 '15_contest': ('The contest', "Kaggle's contest from a trained painter to images.zip",
                {'11_paint': '0e11c3b3:11f5ad5d 4c4992c5:f26b878d'}),
 'apps/submit': ('monet_submit', "Write the contest's images.zip from the command line",
                 {'11_paint': '3e3bfe20:01ea8366'}),
 'apps/fetch': ('Fetching a file',
                'A download that goes on where it broke off, and never joins what does not belong together',
                {'14_download': '492bad80:3b53e93e'}),
 'apps/archive': ('Archives', 'zip and tar unpacked with care: nothing outside, nothing half',
                  {'14_download': '40fd8ac4:231c74a5'}),
}

# --- notebooks

def read(path): return json.loads(path.read_text(encoding='utf-8'))
def text(cell): return ''.join(cell['source'])
def put(cell, source): cell['source'] = source.splitlines(keepends=True)
def exports(cell): return cell['cell_type'] == 'code' and bool(re.match(r'#\|\s*exporti?\b', text(cell)))
def code(kind, source, id):
    return {'cell_type': 'code', 'execution_count': None, 'id': id, 'metadata': {}, 'outputs': [],
            'source': source.splitlines(keepends=True)}
def prose(source, id):
    return {'cell_type': 'markdown', 'id': id, 'metadata': {}, 'source': source.splitlines(keepends=True)}
def fresh(place, n):
    import hashlib
    return hashlib.sha256(f'{place} {n}'.encode()).hexdigest()[:8]

def parsed(source):
    source = re.sub(r'^(\s*)([%!])', r'\1pass #', source, flags=re.M)
    try: return ast.parse(source)
    except SyntaxError: return ast.parse('')

def defined(node):
    "Names that a statement at the top of a cell gives."
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)): return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node,
                                                                                            (ast.AnnAssign, ast.AugAssign)) else []
    return [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]

def parts(source):
    "A cell's statements with their names, each with the comments above it."
    lines, found, at = source.splitlines(keepends=True), [], 0
    while at < len(lines) and lines[at].startswith('#|'): at += 1
    for node in parsed(source).body:
        found.append((defined(node), ''.join(lines[at:node.end_lineno])))
        at = node.end_lineno
    return ''.join(l for l in lines if l.startswith('#|')), found, ''.join(lines[at:])

def take(nb, name):
    "Cut a definition out of its cell."
    for i, cell in enumerate(nb['cells']):
        if not exports(cell): continue
        head, found, tail = parts(text(cell))
        mine = [s for names, s in found if name in names]
        if not mine: continue
        left = [s for names, s in found if name not in names]
        if not left: nb['cells'].pop(i)
        else: put(cell, head + ''.join(left).strip('\n') + tail.rstrip('\n'))
        return code('code', head + mine[0].strip('\n'), None)
    sys.exit(f'rooms: no {name}')

def pieces(nb, refs, place):
    for n, ref in enumerate(refs.split()):
        ids = [c['id'] for c in nb['cells']]
        if ref.startswith('+'):
            yield {**json.loads(json.dumps(nb['cells'][ids.index(ref[1:])])), 'id': fresh(place, ref)}
        elif ':' in ref:
            a, b = (ids.index(x) for x in ref.split(':'))
            for _ in range(a, b + 1): yield nb['cells'].pop(a)
        elif ref in ids: yield nb['cells'].pop(ids.index(ref))
        else:
            cell = take(nb, ref)
            cell['id'] = fresh(place, ref)
            yield cell

# --- imports

BUILTIN = {*dir(builtins), '__file__', '__name__', 'get_ipython', '_', '__doc__'}

def imported(source):
    "{name: the statement that imports it} of a piece of code; star imports under '*'."
    found = {}
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Import):
            for a in node.names: found[(a.asname or a.name).split('.')[0]] = ('import', a.name, a.asname)
        if isinstance(node, ast.ImportFrom):
            for a in node.names:
                if a.name != '*': found[a.asname or a.name] = ('from', node.module, a.name, a.asname)
    return found

def used(source):
    "Names that code reads from its module."
    def walk(table):
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or table.get_type() == 'module'): yield symbol.get_name()
        for child in table.get_children(): yield from walk(child)
    return set(walk(symtable.symtable(ast.unparse(parsed(source)), '', 'exec')))

def statement_lines(found):
    "Import statements in three blocks: the standard library and packages, ours, fastai after ours."
    plain, froms = set(), {}
    for kind, *rest in found:
        if kind == 'import': plain.add('import ' + rest[0] + (f' as {rest[1]}' if rest[1] else ''))
        else: froms.setdefault(rest[0], set()).add(rest[1] + (f' as {rest[2]}' if rest[2] else ''))
    std = {m for m in sys.stdlib_module_names}
    of = lambda s: s.split()[1].split('.')[0]
    rows = sorted(plain) + [f'from {m} import {", ".join(sorted(names))}' for m, names in sorted(froms.items())]
    blocks = [[r for r in rows if of(r) in std], [r for r in rows if of(r) not in std | {'monet_course', 'fastai'}],
              [r for r in rows if of(r) == 'monet_course'], [r for r in rows if of(r) == 'fastai']]
    return '\n\n'.join('\n'.join(b) for b in blocks if b)

def is_imports(cell):
    "The cells at the top that import: what they hold besides stays."
    return cell['cell_type'] == 'code' and 'git+https' not in text(cell) and any(isinstance(n,
                                                                                            (ast.Import, ast.ImportFrom,
                                                                                             ast.With, ast.Try)) for n in parsed(text(cell)).body) and \
        all(isinstance(n, (ast.Import, ast.ImportFrom, ast.With, ast.Try, ast.Assign, ast.Expr))
            for n in parsed(text(cell)).body)

def main():
    old = {p.relative_to(NBS).with_suffix('').as_posix(): read(p) for p in sorted(NBS.rglob('*.ipynb'))}
    module_of = lambda nb: next((m[1] for c in nb['cells'] if (m := re.match(r'#\|\s*default_exp\s+(\S+)', text(c)))),
                                None)
    modules = {stem: module_of(nb) for stem, nb in old.items()}
    tops = {} # the import cells of each notebook
    for stem, nb in old.items():
        i = next((i for i, c in enumerate(nb['cells']) if re.match(r'#\|\s*default_exp', text(c))), 0)
        tops[stem] = [c for c in nb['cells'][i + 1:i + 6] if is_imports(c) or exports(c) and not parts(text(c))[1]]
    known = {stem: {k: v for c in nb['cells'] if c['cell_type'] == 'code' for k, v in imported(text(c)).items()}
             for stem, nb in old.items()}
    before = {name: modules[stem] for stem,
              nb in old.items() if modules[stem] and not modules[stem].startswith('checks') for c in nb['cells']
              if exports(c) and c not in tops[stem]
              for names, _ in parts(text(c))[1] for name in names}

    # 1. cut
    new, came, origin = dict(old), {stem: [stem] for stem in old}, {}
    for place, (title, promise, sources) in SPLIT.items():
        def taken(source, refs):
            "The pieces, and a note of where their definitions stand now."
            for cell in pieces(old[source.rstrip('+')], refs, place):
                if exports(cell):
                    for names, _ in parts(text(cell))[1]:
                        for name in names:
                            origin[modules[source.rstrip('+')], name] = place.replace('/',
                                                                                      '.') if '/' in place else place[3:]
                yield cell
        if place in old: # it is there already: before its last section
            at = max(i for i, c in enumerate(old[place]['cells']) if c['cell_type'] == 'markdown'
                     and text(c).startswith('## '))
            old[place]['cells'][at:at] = [c for source, refs in sources.items() for c in taken(source, refs)]
            came[place] = [place, *sources]
            continue
        cells = [prose(f'# {title}\n\n> {promise}', fresh(place, 'title'))]
        first = old[next(iter(sources)).rstrip('+')]
        install = json.loads(json.dumps(next(c for c in first['cells'] if 'git+https' in text(c))))
        cells += [{**install, 'id': fresh(place, 'install')},
                  code('code', f'#| default_exp {place.replace("/", ".") if "/" in place else place[3:]}',
                       fresh(place, 'module')),
                  code('code', '#| export', fresh(place, 'imports')),
                  code('code', '#| hide\nfrom fastcore.test import *', fresh(place, 'tests'))]
        for source, refs in sources.items(): cells += taken(source, refs)
        model = first
        new[place] = {**{k: v for k, v in model.items() if k != 'cells'}, 'cells': cells}
        came[place] = [x.rstrip('+') for x in sources]
        modules[place] = place.replace('/', '.') if '/' in place else place[3:]
    torn = {s.rstrip('+') for _, _, sources in SPLIT.values() for s in sources} | {s for s in SPLIT if s in old}

    # 2. new names
    placed = {RENAMED.get(stem,
                          re.sub(r'^exercises/(.*)', lambda m: f'exercises/{RENAMED.get(m[1], m[1])}', stem)): stem
                          for stem in new}
    for stem in list(modules):
        if modules[stem] in MODULES and stem in RENAMED:
            modules[stem] = MODULES[modules[stem]]
            for c in new[stem]['cells']:
                if re.match(r'#\|\s*default_exp', text(c)): put(c, f'#| default_exp {modules[stem]}')
    where = {}
    for stem, nb in new.items():
        if not modules[stem] or modules[stem].startswith('checks'): continue
        for c in nb['cells']:
            if not exports(c) or c in tops.get(stem, []): continue
            for names, _ in parts(text(c))[1]:
                for name in names: where.setdefault(name, []).append(modules[stem])
    def home(name, asked=None):
        "The module in which a name stands now; `asked` is the one it was asked of before."
        if (asked, name) in origin: return origin[asked, name]
        ms = where.get(name)
        if not ms: return None
        if len(ms) == 1: return ms[0]
        stay = MODULES.get(asked, asked)
        return stay if stay in ms else ms[0]

    # 3. imports
    line = re.compile(r'^([ \t]*)from monet_course\.([\w.]+) import ([^\n(#;]+?)(?=[ \t]*(?:[#;\n]|$|\\n|"))', re.M)
    def follow(m):
        if m[2].startswith('checks'): return m[0]
        by = {}
        for item in m[3].split(','):
            name = item.strip().split(' as ')[0]
            by.setdefault(home(name, m[2]) or MODULES.get(m[2], m[2]), []).append(item.strip())
        return '\n'.join(f'{m[1]}from monet_course.{mod} import {", ".join(items)}' for mod,
                         items in sorted(by.items()))

    for stem, nb in new.items():
        if stem in torn or stem in SPLIT: continue
        for c in nb['cells']: put(c, line.sub(follow, text(c)))
    for stem in [*torn, *(s for s in SPLIT if s not in torn)]:
        nb = new[stem]
        mine = {n for c in nb['cells'] if exports(c) and c not in tops.get(stem, []) for names,
                _ in parts(text(c))[1] for n in names}
        def wanted(cells, have):
            names = set()
            for c in cells:
                if c['cell_type'] == 'code': names |= used(text(c))
            found = []
            for name in sorted(names - BUILTIN - have):
                known_here = [known[s][name] for s in came[stem] if name in known.get(s, {})]
                if known_here and not (known_here[0][0] == 'from' and str(known_here[0][1]).startswith('monet_course')):
                    found.append((name, known_here[0]))
                else:
                    asked = (known_here[0][1].removeprefix('monet_course.') if known_here else None) or before.get(name)
                    real = known_here[0][2] if known_here else name
                    if (h := home(real, asked)) and h != modules[stem]:
                        found.append((name, ('from', f'monet_course.{h}', real,
                                             known_here[0][3] if known_here else None)))
            return found
        top = [c for c in nb['cells'] if c in tops.get(stem, [])]
        body = [c for c in nb['cells'] if c['cell_type'] == 'code' and c not in top and 'git+https' not in text(c)
                and not text(c).startswith('#| default_exp')]
        heads = [c for c in top if exports(c)] or [next(c for c in nb['cells']
                                                        if text(c) == '#| export')] if modules[stem] else []
        if not heads: continue
        lib = wanted([c for c in body if exports(c)], mine)
        extra = {n for n, _ in lib}
        put(heads[0], ('#| export\n' + statement_lines([f for _, f in lib])).rstrip())
        local = {n for c in body if not exports(c) for node in ast.walk(parsed(text(c)))
                 for n in ([node.id] if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else [node.name]
                           if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else [node.arg]
                           if isinstance(node, ast.arg) else list(imported(ast.unparse(node)))
                           if isinstance(node, (ast.Import, ast.ImportFrom)) else [])}
        rest = [c for c in top if not exports(c)]
        keep = {n for c in rest for n in imported(text(c))} if stem in torn else set()
        tests = wanted([c for c in body if not exports(c)], mine | extra | local)
        if stem in torn:
            for c in rest: put(c, line.sub(follow, text(c)))
            tests = [(n, f) for n, f in tests if n not in keep]
            if tests:
                at = nb['cells'].index(heads[0]) + 1
                nb['cells'].insert(at, code('code', '#| hide\n' + statement_lines([f for _, f in tests]),
                                            fresh(stem, 'more imports')))
        else:
            t = next(c for c in nb['cells'] if c['id'] == fresh(stem, 'tests'))
            put(t, ('#| hide\n' + '\n\n'.join(x
                                              for x in (statement_lines([f for n,
                                                                         f in tests if not n.startswith('test_')]),
                                                                         'from fastcore.test import *') if x)))
        for c in body: put(c, line.sub(follow, text(c)))

    # 4. numbers and links in prose
    number = {s[:2]: d[:2] if re.match(r'\d\d', d) else TITLES[s] for s, d in RENAMED.items()}
    number = {**{f'{n:02}': f'{n:02}' for n in (18, 19, 20, 21, 23, 24, 25)}, **number}
    stems = {**{s: s for s in old if re.match(r'\d\d', s)}, **RENAMED}
    headings = {}
    for stem, nb in new.items():
        for c in nb['cells']:
            if c['cell_type'] == 'markdown':
                for h in re.findall(r'^#+ +(.*)$', text(c), re.M):
                    headings.setdefault((re.sub(r'[^\w -]', '', h).strip().lower().replace(' ', '-')), []).append(stem)
    place_of = {stem: place for place, stem in placed.items()}
    def relink(source, stem):
        here_old, here = stem if stem in old or not stem else came[stem][0], place_of.get(stem, stem)
        def to(target, anchor):
            if anchor and target in torn and target not in headings.get(anchor[1:], [target]):
                target = headings[anchor[1:]][0]
            return os.path.relpath(place_of.get(target, target), os.path.dirname(here) or '.') + '.ipynb' + anchor
        def link(m):
            label, path, anchor = m[1], m[2], m[3] or ''
            base = os.path.normpath(os.path.join(os.path.dirname(here_old), path))
            known_as = base if base in old else base.removeprefix('nbs/') if base.removeprefix('nbs/') in old else None
            if base.startswith('../students/') or base.startswith('students/'):
                s = base.rsplit('/', 1)[1]
                return f'[{label}]({os.path.relpath("../students", os.path.dirname(here) or ".")}/{RENAMED.get(s, s)}.ipynb)'
            if known_as is None: return m[0]
            if re.fullmatch(r'\d\d', label):
                label = number[label] if re.match(r'\d\d',
                                                  number[label]) else number[label].removeprefix('the notebook on ')
            label = re.sub(r'^(\d\d)(?= )', lambda n: number[n[1]] if re.match(r'\d\d', number[n[1]]) else '',
                           label).strip()
            if base != known_as: return f'[{label}](nbs/{place_of.get(known_as, known_as)}.ipynb{anchor})'
            return f'[{label}]({to(known_as, anchor)})'
        source = re.sub(r'\[([^\]\[]*)\]\(([\w./-]*?)\.ipynb(#[\w-]*)?\)', link, source)
        source = re.sub(r'(monet_course/(?:exercises/)?)(\d\d_\w+)(\.html)',
                        lambda m: m[1] + (RENAMED.get(m[2], m[2])) + m[3], source)
        def lessons(m):
            return m[1] + ' ' + re.sub(r'\d\d', lambda n: number.get(n[0], n[0]), m[2])
        source = re.sub(r'\b([Ll]essons?) (\d\d(?:(?:, | and | or | to |-)\d\d)*)\b(?!\d)', lessons, source)
        source = re.sub(r'[Ll]essons? (the notebook on)', r'\1', source)
        return source
    results = {}
    for p in sorted((ROOT/'monet_course/results').iterdir()):
        if (m := re.match(r'(\d\d)(_.*)', p.name)) and number.get(m[1], m[1]) != m[1]:
            to_ = number[m[1]] if re.match(r'\d\d', number[m[1]]) else {'27': 'recipes', '14': 'download'}[m[1]]
            results[p.name] = to_ + m[2]
    files = re.compile(r'(?<![\w])(' + '|'.join(map(re.escape, sorted(results, key=len, reverse=True))) + r')(?!\w)')
    for stem, nb in new.items():
        for c in nb['cells']:
            source = relink(text(c), stem)
            put(c, files.sub(lambda m: results[m[1]], source) if results else source)

    # 5. write
    git = lambda *a: subprocess.run(['git', *a], cwd=ROOT, check=True, capture_output=True)
    (NBS/'apps').mkdir(exist_ok=True); (NBS/'workshop').mkdir(exist_ok=True)
    shift = [(p, s) for p, s in placed.items() if p != s and (NBS/f'{s}.ipynb').exists()]
    for p, s in shift: git('mv', f'nbs/{s}.ipynb', f'nbs/{p}.ipynb.moving')
    for p, s in shift: git('mv', f'nbs/{p}.ipynb.moving', f'nbs/{p}.ipynb')
    for place, stem in placed.items():
        for c in new[stem]['cells']:
            if c['source']: c['source'][-1] = c['source'][-1].rstrip('\n')
        (NBS/f'{place}.ipynb').write_text(json.dumps(new[stem], indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
    shift = list(results.items())
    for a, b in shift: git('mv', f'monet_course/results/{a}', f'monet_course/results/{b}.moving')
    for a, b in shift: git('mv', f'monet_course/results/{b}.moving', f'monet_course/results/{b}')
    pages = [p for pattern in ('*.md', 'tools/*.py', 'tools/*/*.py', 'tools/*.sh', 'benchmarks/*', 'nbs/*.md',
                               'nbs/*.yml', 'nbs/paint_here/*', 'Makefile', 'settings.ini') for p in ROOT.glob(pattern)
                               if p.is_file() and p != Path(__file__).resolve() and p.name != 'CHANGELOG.md'
                               and not p.is_symlink()]
    for p in pages:
        try: source = p.read_text(encoding='utf-8')
        except UnicodeDecodeError: continue
        changed = relink(line.sub(follow, source), '') if p.suffix == '.md' else line.sub(follow, source)
        if p.suffix in ('.yml', '.py', '.sh') or p.name == 'Makefile':
            changed = re.sub(r'(?<![\w/])(\d\d_\w+)(?=\.ipynb)', lambda m: place_of.get(m[1], m[1]), changed)
        changed = files.sub(lambda m: results[m[1]], changed)
        if changed != source: p.write_text(changed, encoding='utf-8')
    for old_module in sorted({m for m, _ in origin}):
        print(old_module, *sorted(f'{n}->{to}' for (m, n), to in origin.items() if m == old_module))

if __name__ == '__main__': main()
