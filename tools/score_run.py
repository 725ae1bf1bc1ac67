"""How near are paintings to real Monets? KID (x 1000) on EfficientNet-Lite0 features (or another extractor's), at 128 px.

    pip install 'monet_course[score]'
    python tools/score_run.py runs/2026-11-22-020239 --photos testB --monets testA --seen trainA
    python tools/score_run.py shipped --paint 256 --photos testB --monets testA --seen trainA

Prints a line each for the photos unchanged, for the paintings of every run, .safetensors file or `shipped` (the painter of
the package), and for two baselines that learn nothing: a global colour transfer (Reinhard et al., 2001), and the detail of
a Monet band by band (histograms of a Laplacian pyramid are matched, after Heeger & Bergen, 1995), to which each painting is
also compared on the same random halves. KID is unbiased; the spread is that of its estimate over random halves of the
pictures. Scores with another extractor or size are not comparable. The memorisation distance is that of lesson 13 to the
Monets of --seen, those of the training: 0 is a copy.
For a folder of finished paintings use `monet_score`, which this script takes its scores from.
"""
import json
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage.exposure import match_histograms
from skimage.transform import pyramid_expand, pyramid_reduce

from monet_course.workshop.checkpoint import load_generator
from monet_course.workshop.pictures import find_pictures, to_batch, to_pil
from monet_course.workshop.truth import reinhard
from monet_course.metrics import kid, memorisation_distance
from monet_course.workshop.features import EXTRACTORS, feature_table, load_extractor
from monet_course.workshop.pictures import read_picture
from monet_course.workshop.run import weights_file


def pictures(folder, size):
    "All pictures of a folder, shorter side `size`, centre crop: uint8 (n, size, size, 3)."
    return np.stack([read_picture(p, size) for p in find_pictures(folder)])


def smaller(picture, size):
    "A PIL picture as uint8 (size, size, 3)."
    return np.asarray(picture if picture.width == size else picture.resize((size, size), Image.Resampling.LANCZOS))


@torch.inference_mode()
def painted(generator, photos, size, n=8):
    "What a generator makes of uint8 photos, scaled to `size`."
    batches = (generator(to_batch(list(photos[i:i + n]))) for i in range(0, len(photos), n))
    return np.stack([smaller(to_pil(x), size) for batch in batches for x in batch])


def bands(x, levels=4):
    "Laplacian pyramid: what each halving loses, then the rest."
    parts = []
    for _ in range(levels):
        low = pyramid_reduce(x, channel_axis=-1)
        parts.append(x - pyramid_expand(low, channel_axis=-1)[:x.shape[0], :x.shape[1]])
        x = low
    return [*parts, x]


def detail_of(photo, monet):
    "A photo whose pyramid has, band by band, the histograms of a Monet's."
    *fine, x = [match_histograms(a, b, channel_axis=-1) for a, b in zip(bands(photo/255), bands(monet/255))]
    for band in reversed(fine): x = band + pyramid_expand(x, channel_axis=-1)[:band.shape[0], :band.shape[1]]
    return (x.clip(0, 1)*255).round().astype(np.uint8)


def paired(reference, a, b, draws=200):
    "KID x 1000 of `a` minus that of `b` on the same random halves of references and pictures: mean, spread, share above 0."
    chance, differences = np.random.default_rng(1), []
    for _ in range(draws):
        some, few = chance.permutation(len(a))[:len(a)//2], reference[chance.permutation(len(reference))[:len(reference)//2]]
        differences.append(1000*(kid(few, a[some])[0] - kid(few, b[some])[0]))
    return np.mean(differences), np.std(differences), np.mean(np.array(differences) > 0)


if __name__ == '__main__':
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('run', nargs='*', help='folders of runs, .safetensors files, or: shipped')
    parser.add_argument('--photos', required=True, help='photos that no run has seen')
    parser.add_argument('--monets', required=True, nargs='+',
                        help='folders of Monets to compare with, each scored apart')
    parser.add_argument('--seen', required=True,
                        help='the Monets of the training: the baselines take theirs from them, copies are looked for '
                             'among them')
    parser.add_argument('--size', type=int, default=128,
                        help='side of the pictures that are scored, in pixels (default 128)')
    parser.add_argument('--paint', type=int, nargs='+',
                        help='sides at which the photos are painted before they are scaled to --size; default: --size')
    parser.add_argument('--out', help='JSON file for the scores')
    parser.add_argument('--extractor', choices=EXTRACTORS, default='efficientnet-lite0',
                        help='whose features are compared (default efficientnet-lite0)')
    args = parser.parse_args()
    extractor, sizes, chance = load_extractor(args.extractor), args.paint or [args.size], np.random.default_rng(0)
    photos, seen = {side: pictures(args.photos, side) for side in {args.size, *sizes}}, pictures(args.seen, args.size)
    plain = photos[args.size]
    sets = {'photo unchanged': plain, 'global colour transfer': reinhard(plain, seen),
            'detail of a Monet, band by band': np.stack([detail_of(x, seen[chance.integers(len(seen))])
                                                         for x in plain])}
    for run in args.run:
        net = load_generator(weights_file(None if run == 'shipped' else run))
        for side in sizes: sets[f'{run}, painted at {side} px'] = painted(net, photos[side], args.size)
    tables, copied_from = {name: feature_table(extractor, x) for name, x in sets.items()}, feature_table(extractor,
                                                                                                         seen)
    scores = []
    for folder in args.monets:
        monets = pictures(folder, args.size)
        reference = feature_table(extractor, monets)
        for name, table in {**tables, 'the Monets of the training': copied_from}.items():
            score, spread = (1000*v for v in kid(reference, table))
            distance = memorisation_distance(copied_from, table)
            scores.append(dict(pictures=name, n=len(table), monets=Path(folder).name, n_monets=len(monets),
                               kid=round(score, 1), spread=round(spread, 1),
                               memorisation_distance=round(distance, 3)))
            print(f'{name:<44} against {len(monets)} Monets of {folder}: KID x 1000 = {score:6.1f} +- {spread:4.1f}, '
                  f'memorisation distance {distance:.3f}  ({extractor.name}, {args.size} px)', flush=True)
        for name in list(sets)[3:]:
            mean, spread, share = paired(reference, tables['detail of a Monet, band by band'], tables[name])
            print(f'{name:<44} nearer than band by band by {mean:.1f} +- {spread:.1f}, on {share:.0%} of 200 random '
                  'halves', flush=True)
    if args.out: Path(args.out).write_text(json.dumps(scores, indent=1) + '\n')
