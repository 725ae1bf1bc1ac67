"""Train a small photo -> painting CycleGAN on generated landscapes, paint scenes it has never seen, and say how well.

    make demo                                  # or: python tools/demo.py
    python tools/demo.py --seed 1 --epochs 2   # any setting of `monet_fit`
"""
import time

import numpy as np
from PIL import Image

from monet_course.workshop.scenes import toy_pairs
from monet_course.workshop.sheets import sheet
from monet_course.workshop.truth import reinhard, scan_lines, texture_error, tone_error
from monet_course.apps.fit import fit_arguments
from monet_course.train import fit


def scores(name, pictures, truth, photos):
    "A line of the table: tone and texture error against the true paintings, and lines straight across."
    tone, texture, lines = tone_error(pictures, truth), texture_error(pictures, truth), scan_lines(pictures, photos)
    print(f'  {name:<24}{tone:>10.2f}{texture:>12.3f}{lines:>10.2f}')


if __name__ == '__main__':
    start = time.time()
    print('Training on generated landscapes (about 2 minutes on two CPU cores) ...', flush=True)
    run = fit(**fit_arguments())
    trained = time.time() - start

    photos, truth = toy_pairs(64, run.config.size, seed=3)  # seeds 0 and 1 were for training, 2 for the previews
    painter = run.painter()
    paintings = np.stack([np.asarray(painter.paint(Image.fromarray(photo))) for photo in photos])
    target = toy_pairs(run.config.scenes, run.config.size, seed=1)[1]

    folder = run.path/'painted'
    folder.mkdir(exist_ok=True)
    rows = {'photos': photos, 'painted': paintings, 'true\npaintings': truth}
    sheet([row[:8] for row in rows.values()], [*rows], width=1000).save(folder/'demo.png')

    print('\n64 scenes it has never seen, against their true paintings (lower is better):\n  '
          f'{"":<24}{"tone":>10}{"texture":>12}{"lines":>10}')
    scores('the photo unchanged', photos, truth, photos)
    scores('global colour transfer', reinhard(photos, target), truth, photos)
    scores('the trained painter', paintings, truth, photos)
    scores('the true paintings', truth, truth, photos)
    print(f'\nTrained for {trained:.0f} s. Photos, paintings and true paintings, a row each:\n  '
          f'{folder/"demo.png"}\nThe run folder, with losses, previews and checkpoint:\n  {run.path}')
