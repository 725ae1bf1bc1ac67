"""The house, and whether the code keeps to it: one direction of imports, small rooms, short cells.

    python tools/house.py          # what breaks a rule, one line each; exit status 1 if anything does
    python tools/house.py --table  # every module with its lines, its longest function and its share of long lines

A module imports only from those before it in `ORDER`; imports inside functions and by string count.
What may differ stands in `EXCEPTIONS`, with its reason.
"""
import ast
import io
import json
import re
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBRARY, NBS = ROOT/'monet_course', ROOT/'nbs'
ORDER = '''
    workshop.core workshop.devices workshop.norms workshop.files workshop.colours workshop.arguments workshop.odd_files
    workshop.pictures workshop.sheets
    workshop.folders workshop.scenes workshop.captions workshop.digits workshop.tfrecords workshop.truth
    workshop.inception workshop.features workshop.tables workshop.score_facts
    workshop.registry workshop.published workshop.method workshop.learner
    workshop.processes workshop.loader workshop.checkpoint workshop.log workshop.live
    workshop.run workshop.recipes workshop.notebook
    losses gan gan_games layers vae data dcgan resnet unet patchgan jury cyclegan cyclegan_method metrics paint
    run_setup train contest experiments pix2pix wgan cgan progan srgan stackgan
    apps.partial apps.fetch apps.archive apps.download apps.fit apps.launch apps.paint apps.score apps.submit apps.export
    '''.split()
EXCEPTIONS = { # (module, what it imports from further up): why
    ('workshop.registry', 'by string'):
        'the one table of names: the module of a method or a network is imported when it is asked for',
    ('run_setup', 'apps.export'): "run.export(), where a user looks for it; the import is in the method",
}
MODULE_LINES, CELL_LINES = 400, 25 # a cell's lines without its parameters, fields and imports
LONG_MODULES = {'workshop.scenes': 'thirty parts of landscapes, one beside the other'}


def modules():
    "{name: path} of the library, without its exercises' checks."
    paths = {'.'.join(p.relative_to(LIBRARY).with_suffix('').parts): p for p in sorted(LIBRARY.rglob('*.py'))
             if not p.name.startswith('_')}
    return {name: p for name, p in paths.items() if not name.startswith('checks.')}


def imports(name, path):
    "Modules of this library that a module imports, anywhere in it, also by string."
    package = ['monet_course', *name.split('.')[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else []
            full = '.'.join([*base, *([node.module] if node.module else [])])
            if full.startswith('monet_course.'): yield full.removeprefix('monet_course.')
            elif full == 'monet_course': yield from (a.name for a in node.names)
        elif isinstance(node, ast.Import):
            yield from (a.name.removeprefix('monet_course.') for a in node.names if a.name.startswith('monet_course.'))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(('import_module',
                                                                             '__import__')) and node.args:
            if isinstance(node.args[0], ast.Constant): yield str(node.args[0].value).removeprefix('monet_course.')
            elif 'monet_course' in ast.unparse(node.args[0]): yield 'by string'
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith('monet_course.'):
            if (other := node.value.removeprefix('monet_course.')) in ORDER: yield other # named, to be imported elsewhere


def wrong_arrows():
    "Imports that do not go down."
    for name, path in modules().items():
        if name not in ORDER: yield f'{name}: stands in no storey; put it into ORDER of tools/house.py'; continue
        for other in sorted(set(imports(name, path))):
            if (name, other) in EXCEPTIONS or name == other: continue
            if other not in ORDER or ORDER.index(other) >= ORDER.index(name):
                yield f'{name}: imports {other}, which stands above it'


def weight(source):
    "Statements of a cell by lines, a long one once, without those that only declare a parameter or a field, or import."
    tree, light = ast.parse(source), set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.AnnAssign, ast.Import, ast.ImportFrom)): light.add(node.lineno)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    first, count = None, 0
    for token in tokens:
        if token.type in (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT): continue
        first = first or token.start[0]
        if token.type == tokenize.NEWLINE: first, count = None, count + (first not in light)
    return count


def ternaries(node):
    "How many conditional expressions stand one in the other."
    inner = max(map(ternaries, ast.iter_child_nodes(node)), default=0)
    return inner + isinstance(node, ast.IfExp)


def knots():
    "Conditional expressions that hold two more."
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, (ast.stmt)) and not hasattr(node, 'body') and ternaries(node) > 2:
                yield f'{name}: three conditional expressions in one another: {ast.unparse(node)[:90]}'


def large_rooms():
    "Modules and exporting cells that hold too much."
    for name, path in modules().items():
        lines = path.read_text(encoding='utf-8').count('\n')
        if lines > MODULE_LINES and name not in LONG_MODULES: yield f'{name}: {lines} lines, at most {MODULE_LINES}'
    for path in sorted(NBS.rglob('*.ipynb')):
        if path.parent.name == 'exercises': continue
        for cell in json.loads(path.read_text(encoding='utf-8'))['cells']:
            source = ''.join(cell['source'])
            if cell['cell_type'] == 'code' and re.match(r'#\|\s*export', source) and (n := weight(source)) > CELL_LINES:
                yield (f'{path.relative_to(NBS)}, cell {cell["id"]}: {n} exported lines, at most {CELL_LINES}: '
                       f'{next((l for l in source.splitlines() if l.startswith(("def ", "class "))), "")[:60]}')


def functions(path):
    "Lengths of a module's functions, in lines."
    return [n.end_lineno - n.lineno + 1 for n in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
            if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]


def table():
    rows = [(name, (source := p.read_text(encoding='utf-8')).count('\n'), max(functions(p), default=0),
             100*sum(len(l) > 120 for l in source.splitlines())/max(1, source.count('\n'))) for name,
             p in modules().items()]
    for name, lines, longest, long in sorted(rows,
                                             key=lambda r: ORDER.index(r[0]) if r[0] in ORDER
                                             else 99): print(f'{name:24} {lines:5} {longest:4} {long:5.1f}%')
    source = [l for p in modules().values() for l in p.read_text(encoding='utf-8').splitlines()]
    print(f'{len(rows)} modules, {len(source)} lines, longest function {max(r[2] for r in rows)}, '
          f'{100*sum(len(l) > 120 for l in source)/len(source):.1f}% of the lines over 120 characters')


def main():
    if '--table' in sys.argv: return table()
    wrong = [*wrong_arrows(), *large_rooms(), *knots()]
    for line in wrong: print(line)
    for (name, other), why in EXCEPTIONS.items(): print(f'house: {name} imports {other}, by exception: {why}')
    if not wrong: print(f'house: {len(modules())} modules, every import goes down, but for {len(EXCEPTIONS)}')
    return bool(wrong)


if __name__ == '__main__': sys.exit(main())
