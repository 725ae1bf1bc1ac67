"""The page that paints in the visitor's browser: what tools/docs.py adds to the site for it.

The runtime is onnxruntime-web, fetched once by `npm pack` into .cache/ and compared with its checksum; the model is
exported from the weights in the package (apps/export). Without npm, a network or the `onnx` extra the page says in words
that it was built without the painter.
"""
import gzip
import hashlib
import json
import math
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE, CACHE, SAMPLES = ROOT/'nbs'/'paint_here', ROOT/'.cache', ROOT/'monet_course'/'results'/'samples'
PACKAGE, SHA256 = 'onnxruntime-web-1.30.0.tgz', 'd2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71'
SCRIPT, RUNTIME = 'ort.wasm.bundle.min.mjs', 'ort-wasm-simd-threaded.wasm' # of 60 files the two that are needed; no GPU
ROWS = 256 # of a strip; the more, the less is painted twice, and the more memory is needed


class Missing(Exception): "Something that the painter needs is not here."


def archive():
    "The package, as it was published."
    path = CACHE/PACKAGE
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        if not shutil.which('npm'): raise Missing('npm is not installed')
        name = '@'.join(PACKAGE.removesuffix('.tgz').rsplit('-', 1))
        try:
            done = subprocess.run(['npm', 'pack', name, '--silent', '--pack-destination', CACHE], capture_output=True,
                                  text=True, timeout=300)
        except subprocess.TimeoutExpired: raise Missing(f'npm pack {name} took too long') from None
        if done.returncode or not path.exists():
            raise Missing(f'npm pack {name} failed: {(done.stderr or done.stdout).strip()[-200:]}')
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        path.unlink()
        raise SystemExit(f'{PACKAGE}: not the file that was published (SHA-256 differs); it was removed')
    return path


def runtime():
    "{name: bytes} of the script and of the packed runtime, which browsers unpack."
    with tarfile.open(archive()) as tar:
        read = lambda name: tar.extractfile(f'package/dist/{name}').read()
        script, program = read(SCRIPT), read(RUNTIME)
    script = re.sub(rb'\n//# sourceMappingURL=.*', b'', script) # the map stays behind
    return {'ort.mjs': script, 'runtime.wasm.gz': gzip.compress(program, 9, mtime=0)}


def model():
    "The painter of the package as ONNX, and what the page must know of it."
    from monet_course.apps.export import export_onnx, need_onnx
    try: onnx, _ = need_onnx()
    except ImportError as e: raise Missing(str(e)) from None
    with tempfile.TemporaryDirectory() as folder:
        path = export_onnx(None, Path(folder)/'painter.onnx', half=True, name='the painter of monet_course')
        notes, data = {p.key: p.value for p in onnx.load(path).metadata_props}, path.read_bytes()
    multiple, reach = int(notes['multiple']), int(notes['reach']) # a number only where tiles are exact
    return data, dict(rows=max(ROWS//multiple, 1)*multiple, overlap=math.ceil(reach/multiple)*multiple)


def painter_files():
    "{name: bytes} of all that is made for the page; empty if something is missing."
    try: files, (painter, facts) = runtime(), model()
    except Missing as e: return print(f'paint_here: {e}; the page says that it was built without the painter') or {}
    facts.update(model='painter.onnx', runtime='runtime.wasm.gz', bytes=len(painter) + len(files['runtime.wasm.gz']))
    return {**files, 'painter.onnx': painter, 'painter.json': json.dumps(facts).encode()}


def page(text, built):
    "The page's Markdown, with the painter at its place if there is one."
    html = (SOURCE/'page.html').read_text()
    return re.sub(r'<!-- The painter.*?<!-- end -->',
                  (lambda _: f'```{{=html}}\n{html}```') if built else lambda m: re.sub(r'<!--.*?-->', '', m[0]), text,
                  flags=re.S)


def put(files, folder):
    "Write the page's folder into the site."
    if not files: return
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns('page.html'))
    shutil.copytree(SAMPLES, folder/'samples')
    for name, data in files.items(): (folder/name).write_bytes(data)
    print(f"paint_here: {', '.join(f'{name} {len(data)/1e6:.2f} MB' for name, data in files.items())}")
