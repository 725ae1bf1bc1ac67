"""What `make faults` does to the library: kill jobs at random moments, fill a disk, write files that nobody wants to open."""
import io
import os
import signal
import subprocess
import sys
import time
import warnings
import zlib
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, PngImagePlugin
from fastcore.basics import ifnone

from monet_course.data import unpaired_dls
from monet_course.paint import Painter
from monet_course.train import Run, fit
from monet_course.workshop.checkpoint import read_checkpoint
from monet_course.workshop.folders import folder_jobs
from monet_course.workshop.pictures import MAX_PIXELS, find_pictures
from monet_course.apps.launch import starter
from monet_course.workshop.scenes import toy_pairs

@dataclass
class Tally:
    "What an ordeal came to."
    kills: int = 0 # processes that were killed
    writing: int = 0 # of these, while a file was being written
    rounds: int = 0 # works that were begun, and brought to their end
    seconds: float = 0.

def being_written(folder): # files that `writing` of workshop/files has begun and not finished
    return list(Path(folder).rglob('.writing-*.partial'))

def traces(folder): # changes with every file that is written
    found = set()
    for path in Path(folder).rglob('*'):
        with suppress(FileNotFoundError): found.add((path, path.stat().st_mtime_ns)) # it may be gone by now
    return found

def kill_once(
    process, # just started
    folder, # where it writes
    patience: float, # seconds of work after which it is killed at the latest
    rng: np.random.Generator, # when exactly
) -> bool | None: # whether it was writing a file; None if it came to its end before
    "Kill a process at a random moment of its start or of its work, or at the next file that it writes after that."
    known, before = set(being_written(folder)), traces(folder)
    at_work, moment, in_writing = rng.random() < .8, rng.uniform(0, patience), rng.random() < .5
    while at_work and process.is_alive() and traces(folder) == before: time.sleep(.002)
    process.join(moment)
    end = time.monotonic() + patience*in_writing
    # the next file it writes
    while process.is_alive() and time.monotonic() < end and not set(being_written(folder)) - known: time.sleep(.0002)
    process.kill()
    process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        raise AssertionError(f'it failed by itself, with exit code {process.exitcode}')
    return bool(set(being_written(folder)) - known) if process.exitcode else None

def survive(
    job, # a function (folder) that begins or goes on, and returns when all is done; importable
    check, # a function (folder, done): raises if something is lost
    folder, # an empty folder; each round has a folder of its own in it
    kills: int = 10, # how many times a process is killed
    # seconds of work after which a process is killed at the latest; twice that when waiting for it to write
    patience: float = 1.,
    seed: int = 0, # of the moments
) -> Tally:
    "Kill a job again and again; it must come to its end, with nothing lost in between."
    rng, how, tally, start = np.random.default_rng(seed), starter(), Tally(), time.monotonic()
    while tally.kills < kills:
        place = Path(folder)/f'round{tally.rounds}'
        place.mkdir(parents=True)
        while True:
            process = how.Process(target=job, args=(place,))
            process.start()
            if tally.kills < kills and (wrote := kill_once(process, place, patience, rng)) is not None:
                tally.kills, tally.writing = tally.kills + 1, tally.writing + wrote
                check(place, False)
                continue
            process.join() # enough: the last round may finish
            if process.exitcode: raise AssertionError(f'it failed by itself, with exit code {process.exitcode}')
            break
        check(place, True)
        tally.rounds += 1
    tally.seconds = time.monotonic() - start
    return tally

TINY = dict(scenes=16, crop=32, batch=2,
            generator=dict(arch='resnet', width=4, blocks=1, up='resize', norm='batch', skip=True),
            discriminator=dict(n_layers=1, width=4), amp='fp32', device='cpu', pool=6, log_every=3, save_minutes=0.)

def train_on(
    folder, # holds at most one run
    **settings, # of `fit`
):
    "Begin the training in a folder, or go on with the one that is there."
    sys.stdout = open(os.devnull, 'w')
    torch.set_num_threads(1)
    begun = sorted(Path(folder).glob('*/config.json'))
    if begun: fit(resume=begun[0].parent)
    else: fit(**{**TINY, 'out': folder, **settings})

def same(a, b): # nested dicts, lists and tensors
    "Are two states equal, to the last bit?"
    if isinstance(a, torch.Tensor): return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict): return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)): return len(a) == len(b) and all(map(same, a, b))
    return a == b

def check_training(folder, done, reference):
    "Every file is whole; when done, the run equals the reference."
    for path in Path(folder).glob('*/checkpoint.pt'): read_checkpoint(path)
    for path in Path(folder).glob('*/*.safetensors'): Painter.load(path, device='cpu')
    for path in Path(folder).glob('*/previews/*.jpg'): Image.open(path).load()
    if not done: return
    runs = [Run(p.parent) for p in Path(folder).glob('*/config.json')]
    if len(runs) != 1: raise AssertionError(f'{len(runs)} runs instead of one')
    run, logs = runs[0], [{k: v for k, v in r.log().items() if k != 'seconds'} for r in (runs[0], reference)]
    if not same(read_checkpoint(run.checkpoint), read_checkpoint(reference.checkpoint)):
        raise AssertionError(f'{run.path}: another end than the reference')
    np.testing.assert_equal(*logs)
    if being_written(run.path): raise AssertionError(f'{being_written(run.path)[0]}: left half-written')

def paint_on(
    folder, # for the paintings
    weights, # file of the painter
    photos, # folder
):
    "Paint a folder, or go on with it."
    torch.set_num_threads(1)
    Painter.load(weights, device='cpu').paint_folder(photos, folder, batch=1, progress=False)

def check_painting(folder, done, painter, photos):
    "Every painting is whole and right; when done, none is missing and nothing else is there."
    for path in Path(folder).glob('*.png'):
        if not np.array_equal(Image.open(path), painter.paint(Path(photos)/path.name)):
            raise AssertionError(f'{path}: not what it should be')
    if done and {p.name for p in Path(folder).iterdir()} != {p.name for p in Path(photos).iterdir()}:
        raise AssertionError(f'{folder}: something is missing, or too much')

@contextmanager
def full_disk(
    place, # an empty folder
    megabytes: int = 8, # size of the disk
):
    "A disk of its own in `place`, gone afterwards; gives a function that leaves only so many bytes free. Needs Linux, and root."
    try:
        subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={megabytes}m', 'tmpfs', str(place)], check=True,
                       capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        raise PermissionError('a small disk needs Linux, and root') from None
    filler = Path(place)/'filler'
    def leave(free):
        filler.unlink(missing_ok=True)
        room = os.statvfs(place)
        filler.write_bytes(bytes(max(0, room.f_bavail*room.f_frsize - free)))
    try: yield leave
    finally: subprocess.run(['umount', '-l', str(place)], check=True)

def train_in_little_room(
    folder, # an empty folder
    rooms: list, # bytes that are free, for one training after the other
    reference: Run, # of an undisturbed training
    **settings, # of `fit`
) -> Counter: # what happened, how often
    "Each training must end, or stop with a sentence and go on when there is room."
    told = Counter()
    for free in rooms:
        with full_disk(folder) as leave:
            out = Path(folder)/'runs'
            leave(free)
            try:
                told['there was room enough' if not fit(**{**TINY, 'out': out, **settings}).stopped else 'stopped'] += 1
            except OSError as e: told['the disk is full' if 'the disk is full' in str(e) else str(e)] += 1
            leave(6_000_000)
            check_training(out, False, reference)
            begun = list(out.glob('*/config.json'))
            run = fit(resume=begun[0].parent) if begun else fit(**{**TINY, 'out': out, **settings})
            if run.stopped: raise KeyboardInterrupt # somebody else ended this
            check_training(out, True, reference)
    return told

def scene(rng): # a small real picture
    return Image.fromarray(toy_pairs(8, 32, seed=5)[0][rng.integers(8)])

def encoded(rng, format='JPEG', im=None, **options): # a picture as bytes
    out = io.BytesIO()
    ifnone(im, scene(rng)).save(out, format, **options)
    return out.getvalue()

def cut(rng, data): return data[:rng.integers(len(data))]
def damaged(rng, data):
    x = np.frombuffer(data, np.uint8).copy()
    x[rng.integers(len(x), size=rng.integers(1, 30))] = rng.integers(256)
    return x.tobytes()

def bomb(rng): # a PNG of a few kilobytes that wants gigabytes: too many pixels
    side = int(np.sqrt(MAX_PIXELS) + 1 + rng.integers(30_000))
    good = encoded(rng, 'PNG')
    head = side.to_bytes(4, 'big')*2 + good[24:29]
    return good[:16] + head + zlib.crc32(b'IHDR' + head).to_bytes(4, 'big') + good[33:]

def thin(rng, size): return Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), np.uint8))
def deep(rng): return Image.fromarray(rng.integers(0, 2**16, (20, 30), np.uint16))

def with_note(rng):
    exif = Image.Exif()
    exif[0x0112], exif[0x010e] = int(rng.integers(1, 9)), 'x'*60_000
    return exif.tobytes()

def chatty(rng):
    info = PngImagePlugin.PngInfo()
    info.add_text('comment', 'x'*3_000_000, zip=True)
    return info

UNUSUAL = dict( # kind -> (ending, bytes): unusual, but pictures
    plain=lambda rng: ('.jpg', encoded(rng)), png_called_jpg=lambda rng: ('.jpg', encoded(rng, 'PNG')),
    one_pixel=lambda rng: ('.png', encoded(rng, 'PNG', thin(rng, (1, 1)))),
    line=lambda rng: ('.png', encoded(rng, 'PNG', thin(rng, (1, 10_000)))),
    row=lambda rng: ('.jpg', encoded(rng, 'JPEG', thin(rng, (10_000, 1)))),
    sixteen_bit=lambda rng: ('.png', encoded(rng, 'PNG', deep(rng))),
    cmyk=lambda rng: ('.jpg', encoded(rng, 'JPEG', scene(rng).convert('CMYK'))),
    grey=lambda rng: ('.png', encoded(rng, 'PNG', scene(rng).convert('L'))),
    palette=lambda rng: ('.png', encoded(rng, 'PNG', scene(rng).convert('P'), transparency=int(rng.integers(256)))),
    black_and_white=lambda rng: ('.png', encoded(rng, 'PNG', scene(rng).convert('1'))),
    transparent=lambda rng: ('.png', encoded(rng, 'PNG', scene(rng).convert('RGBA'))),
    animated=lambda rng: ('.png', encoded(rng, 'PNG', save_all=True, append_images=[scene(rng)]*3)),
    moving=lambda rng: ('.webp', encoded(rng, 'WEBP', save_all=True, append_images=[scene(rng)]*3)),
    floats=lambda rng: ('.tif', encoded(rng, 'TIFF', scene(rng).convert('F'))),
    pages=lambda rng: ('.tif', encoded(rng, 'TIFF', save_all=True, append_images=[scene(rng)])),
    long_note=lambda rng: ('.jpg', encoded(rng, exif=with_note(rng))),
    bad_profile=lambda rng: ('.jpg', encoded(rng, icc_profile=rng.bytes(900))),
    progressive=lambda rng: ('.jpeg', encoded(rng, progressive=True)))

BROKEN = dict( # kind -> (ending, bytes): may be refused, must never harm
    empty=lambda rng: ('.jpg', b''), noise=lambda rng: ('.png', rng.bytes(rng.integers(1, 5000))),
    text=lambda rng: ('.jpg', b'<html>404 not found</html>'),
    cut_jpeg=lambda rng: ('.jpg', cut(rng, encoded(rng))), cut_png=lambda rng: ('.png', cut(rng, encoded(rng, 'PNG'))),
    cut_tiff=lambda rng: ('.tif', cut(rng, encoded(rng, 'TIFF'))),
    cut_webp=lambda rng: ('.webp', cut(rng, encoded(rng, 'WEBP'))),
    wrong_bytes_jpeg=lambda rng: ('.jpg', damaged(rng, encoded(rng))),
    wrong_bytes_png=lambda rng: ('.png', damaged(rng, encoded(rng, 'PNG'))),
    wrong_bytes_tiff=lambda rng: ('.tif', damaged(rng, encoded(rng, 'TIFF'))),
    wrong_bytes_webp=lambda rng: ('.webp', damaged(rng, encoded(rng, 'WEBP'))), bomb=lambda rng: ('.png', bomb(rng)),
    chatty=lambda rng: ('.png', encoded(rng, 'PNG', pnginfo=chatty(rng))))

NAMES = ('{}', 'with space {}', 'new\nline {}', 'Моне {}', 'მონე {}', '睡蓮 {}', '-dash {}', "quote' {}", 'dots..{}',
         '%41 {}', 'CAPITAL {}', '{} ' + 'long'*40)

def odd_entries(
    folder: Path, # gets them
    outside: Path, # a picture elsewhere, which a link points to
):
    "Links, pipes, folders and files without permission, all called like pictures."
    (folder/'folder.jpg').mkdir()
    (folder/'to_nowhere.jpg').symlink_to('gone.jpg')
    (folder/'circle.jpg').symlink_to('circle.jpg')
    (folder/'outside.jpg').symlink_to(outside)
    if Path('/dev/zero').exists(): (folder/'endless.png').symlink_to('/dev/zero')
    if hasattr(os, 'mkfifo'): os.mkfifo(folder/'pipe.jpg')
    (folder/'locked.jpg').write_bytes(encoded(np.random.default_rng(0)))
    (folder/'locked.jpg').chmod(0)

def hostile_pictures(
    folder, # is made
    n: int = 60, # files, besides the odd entries
    seed: int = 0, # of everything
) -> dict: # path -> kind; kinds in `UNUSUAL` must be painted
    "Write n files, each of a random kind under a random name."
    folder, rng, kinds = Path(folder), np.random.default_rng(seed), UNUSUAL | BROKEN
    folder.mkdir(parents=True)
    made, order = {}, [list(kinds)[i] for i in rng.permutation(n) % len(kinds)]
    for i, kind in enumerate(order):
        ending, data = kinds[kind](rng)
        path = folder/(NAMES[rng.integers(len(NAMES))].format(f'{kind} {i}') + ending)
        path.write_bytes(data)
        made[path] = kind
    return made

def tree(folder, without): # path -> bytes of all regular files below a folder
    return {p: p.read_bytes() for p in Path(folder).rglob('*') if not p.is_relative_to(without) and p.is_file()
            and not p.is_symlink()}

def paint_hostile(
    folder, # an empty folder, for everything
    painter: Painter, # what paints
    n: int = 60, # files
    seed: int = 0, # of the files
) -> Counter: # what became of them
    "Paint and load hostile pictures; raises `AssertionError` that names the file where a promise is broken."
    folder = Path(folder)
    (folder/'elsewhere').mkdir(parents=True)
    (folder/'elsewhere/secret.jpg').write_bytes(encoded(np.random.default_rng(seed)))
    photos, paintings = folder/'photos', folder/'paintings'
    kinds = hostile_pictures(photos, n, seed)
    odd_entries(photos, folder/'elsewhere/secret.jpg')
    before = tree(folder, paintings)
    report = painter.paint_folder(photos, paintings, progress=False)
    if tree(folder, paintings) != before: raise AssertionError('a file outside the folder of paintings has changed')
    places = dict(folder_jobs(photos, paintings)[0])
    for path, kind in kinds.items():
        if kind in UNUSUAL and path in report.failed: raise AssertionError(f'{kind}: {report.failed[path]}')
        if path not in report.failed and places.get(path) not in report.painted:
            raise AssertionError(f'{kind}: {path} is neither painted nor named in the report')
    for reason in report.failed.values():
        if '\n' in reason or len(reason) > 1000: raise AssertionError(f'not one line: {reason}')
    for path in report.painted: Image.open(path).load()
    again = painter.paint_folder(photos, paintings, progress=False)
    if again.painted or again.failed.keys() != report.failed.keys():
        raise AssertionError('painted again, the same folder gives something else')
    return Counter(files=len(kinds), painted=len(report.painted), refused=len(report.failed),
                   loaded=load_hostile(photos))

def load_hostile(photos): # how many can be trained on
    "Load every picture of the folder for a training, leaving out what is broken."
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        found = find_pictures(photos)
        dls = unpaired_dls(found, found, crop=16, size=18, bs=1, epoch_len=len(found), device='cpu', on_broken='skip')
        for batch in dls.train: assert all(x.isfinite().all() for x in batch)
    return len(set(map(str, dls.train.dataset.sets[0].items)))
