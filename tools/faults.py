"""Kill trainings and paintings, fill the disk, and feed hostile pictures, at full size; say what was tried and what was lost.

    make faults                      # a few minutes
    make faults ARGS='--kills 300'   # longer
    make faults ARGS='--seed 7'      # other moments, other files

Nothing outside a temporary folder is touched. A small disk needs Linux and root; without them that part is left out, and said.
"""
import io, sys, tempfile
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections import Counter
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from monet_course.workshop.checkpoint import save_generator
from monet_course.workshop.registry import build_generator
from monet_course.workshop.scenes import toy_pairs

from monet_course.apps.launch import starter
from monet_course.paint import Painter
from monet_course.workshop.pictures import save_picture
from monet_course.train import Run
from fault_harness import check_painting, check_training, paint_hostile, paint_on, survive, train_in_little_room, train_on


def undisturbed(folder, epochs):
    "A training that nobody kills."
    process = starter().Process(target=train_on, args=(folder,), kwargs=dict(epochs=epochs))
    process.start()
    process.join()
    if process.exitcode: sys.exit('faults: the undisturbed training failed')
    return Run(next(folder.glob('*/config.json')).parent)


def painter_in(folder):
    "A small painter, its file, and photos to paint."
    torch.manual_seed(0)
    config = dict(arch='resnet', width=8, blocks=1, norm='batch', skip=True)
    save_generator(build_generator(**config), folder/'painter.safetensors', config)
    (folder/'photos').mkdir()
    for i, photo in enumerate(toy_pairs(40, 64, seed=6)[0]):
        save_picture(Image.fromarray(photo).resize((300, 200)), folder/f'photos/{i:02}.png')
    return Painter.load(folder/'painter.safetensors', device='cpu')


if __name__ == '__main__':
    parser = ArgumentParser('make faults', description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('--kills', type=int, default=100, help='of trainings; a quarter as many of paintings')
    parser.add_argument('--files', type=int, default=400, help='hostile pictures')
    parser.add_argument('--disks', type=int, default=24, help='trainings with too little room')
    parser.add_argument('--seed', type=int, default=0, help='of all chance')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        torch.set_num_threads(1)
        reference = undisturbed(tmp/'reference', 4)
        tally = survive(partial(train_on, epochs=4), partial(check_training, reference=reference), tmp/'training',
                        args.kills, 2., args.seed)
        print(f'trainings killed   {tally}', flush=True)
        painter = painter_in(tmp)
        job = partial(paint_on, weights=tmp/'painter.safetensors', photos=tmp/'photos')
        tally = survive(job, partial(check_painting, painter=painter, photos=tmp/'photos'), tmp/'painting',
                        args.kills//4, 1.2, args.seed)
        print(f'paintings killed   {tally}', flush=True)
        rooms = np.random.default_rng(args.seed).integers(0, 700_000, args.disks).tolist()
        (tmp/'disk').mkdir()
        try:
            with redirect_stdout(io.StringIO()): told = train_in_little_room(tmp/'disk', rooms, reference, epochs=4)
            print(f'full disks         {dict(told)}', flush=True)
        except PermissionError as e: print(f'full disks         not tried: {e}')
        folders = range(0, args.files, 100)
        counts = sum((paint_hostile(tmp/f'hostile{i}', painter, min(100, args.files - i), args.seed + i)
                      for i in folders), Counter())
        print(f'hostile pictures   {dict(counts)}')
        print('nothing was lost')
