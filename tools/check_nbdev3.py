"""Export the notebooks of a checkout with nbdev 3 and compare with the modules that are there.

`make nbdev3-check` calls it with a copy. Three differences are nbdev 3's own and left out: a line `Docs: ADDRESS`
at the end of a module's docstring, no lines with directives such as `#| eval: false`, and no empty entries in _modidx.py.
"""
import re, runpy, subprocess, sys
from importlib.metadata import version
from pathlib import Path


def modules(library):
    "{path: text} of all modules, without what nbdev 3 writes differently; the index as a dict."
    found = {path.relative_to(library): re.sub(r'\n\nDocs: \S+(?=""")|^#\|.*\n', '', path.read_text(encoding='utf-8'),
                                               flags=re.M) for path in library.rglob('*.py')}
    index = runpy.run_path(library/'_modidx.py')['d']
    index['syms'] = {module: names for module, names in index['syms'].items() if names}
    return {**found, Path('_modidx.py'): index}


library = Path(sys.argv[1])/'monet_course'
before = modules(library)
subprocess.run([Path(sys.executable).with_name('nbdev-export')], cwd=library.parent, check=True)
after = modules(library)
other = sorted(str(path) for path in before.keys() | after.keys() if before.get(path) != after.get(path))
print(f'nbdev {version("nbdev")}: {len(after) - len(other)} of {len(after)} modules are exported as nbdev 2 does')
if other: sys.exit('different: ' + ', '.join(other))
