"""Import every module of the installed library, run each network once and a short training with resume; `make newest-check` calls it."""
import pkgutil, sys, tempfile
from importlib import import_module
from importlib.metadata import version

import torch

import monet_course

assert monet_course.__file__.startswith(sys.prefix), f'{monet_course.__file__}: this is not the installed library'
for name in ('fastai', 'fastcore', 'torch', 'torchvision', 'numpy'): print(f'{name} {version(name)}')
for module in pkgutil.iter_modules(monet_course.__path__):
    if module.name.startswith("_"): continue
    import_module(f"monet_course.{module.name}")
    print(f"monet_course.{module.name}: imported")

from monet_course.patchgan import patchgan
from monet_course.resnet import resnet_generator
from monet_course.unet import unet_generator

photos = torch.rand(2, 3, 64, 64)*2 - 1
for generator in (resnet_generator(width=8, blocks=1), unet_generator(levels=3, width=8)):
    painted = generator(photos)
    assert painted.shape == photos.shape and painted.isfinite().all(), type(generator).__name__
scores = patchgan(width=8)(photos)
assert scores.shape == (2, 1, 6, 6) and scores.isfinite().all(), 'patchgan'
scores.mean().backward()

from monet_course.train import fit

with tempfile.TemporaryDirectory() as tmp:
    small = dict(scenes=8, crop=32, batch=2, epochs=2, log_every=2, out=tmp, generator=dict(arch='resnet', width=4, blocks=1, skip=True))
    run = fit(**small, discriminator=dict(n_layers=1, width=4))
    assert len(run.log()['step']) == 4 and run.paint(run.painting).size == (256, 96), run.log()
print('newest-check: every module imports, every network runs, a training and a painting work')
