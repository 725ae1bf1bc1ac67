"""How fast is it, and compared with what? Prints a table and stores it as JSON.

    make bench                              # all parts, about 20 minutes on two cores
    make bench ARGS='--only step import'    # some of them
    make bench ARGS='--out benchmarks/run-2.json'

Compared things are timed in turn in one process, at least seven pairs, and the middle ratio is given with its spread:
a machine's speed drifts, a ratio hardly does. Close other programs first.
"""
import json, os, platform, re, statistics, subprocess, sys, tempfile, time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections import Counter
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image

from monet_course import cyclegan
from monet_course.cyclegan import CycleNetworks
from monet_course.cyclegan_method import CycleGAN, CycleGANSettings
from monet_course.data import picture_folders, unpaired_dls
from monet_course.workshop.pictures import write_picture
from monet_course.workshop.registry import build_generator
from monet_course.workshop.scenes import toy_pairs
from monet_course.paint import Painter
from monet_course.train import gan_learner

sys.path.insert(0, str(Path(__file__).parent))
from textbook import Textbook, plain

ROOT = Path(__file__).resolve().parent.parent
RESNET6 = dict(arch='resnet', width=64, blocks=6)
SIZES = { # name -> generator, discriminator, pixels, batch
    'ResNet-6, 64 wide, 128 px, batch 1': (RESNET6, dict(), 128, 1),
    'ResNet-3, 32 wide, 64 px, batch 4': (dict(arch='resnet', width=32, blocks=3), dict(n_layers=2, width=64), 64, 4),
    'U-Net, 64 wide, 128 px, batch 1': (dict(arch='unet', width=64, levels=5), dict(), 128, 1)}


def in_turn(jobs, pairs):
    "Seconds of each job, run in turn: {name: list}."
    for job in jobs.values(): job()  # warm up
    seconds = {name: [] for name in jobs}
    for _ in range(pairs):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(slow, fast):
    "How many times as fast: the middle of the pairs' ratios, the smallest and the largest."
    r = sorted(a/b for a, b in zip(slow, fast))
    return dict(middle=round(statistics.median(r), 3), lowest=round(r[0], 3), highest=round(r[-1], 3), pairs=len(r))


def networks(generator, discriminator, seed=0, **settings):
    torch.manual_seed(seed)
    return CycleGAN(CycleGANSettings(generator, discriminator, init_std=.02, cycle=10., identity=5., pool=0,
                                     **settings))


def textbook_networks(generator, discriminator):
    "The same networks and weights, out of PyTorch's own layers; a U-Net's activations in place would spoil its bridges."
    nets = networks(generator, discriminator)
    for net in nets.discriminators if generator['arch'] == 'unet' else [nets]: plain(net)
    return nets


def our_step(generator, discriminator, px, batch, fused=True, change=lambda nets: nets, settings=None, **kwargs):
    "The course's step on a fixed batch: a function that does one and gives its losses."
    photos, paintings = toy_pairs(8, px)
    dls = unpaired_dls(photos, paintings, crop=px, bs=batch, device='cpu')
    gan = change(networks(generator, discriminator, **{'identity_every': 1, **(settings or {})}))
    if not fused: gan.optimizer = lambda name, params, lr: torch.optim.Adam(params, lr, (.5, .999), fused=False)
    learn = gan_learner(dls, gan, path=tempfile.gettempdir(), **kwargs)
    batch = [x.to(memory_format=learn.layout) for x in dls.one_batch()]
    def step():
        learn.one_step(*batch)
        return {name: loss.item() for name, loss in learn.named_losses.items()}
    return step, dls.one_batch()


def best_convolution(dtype):
    "A large convolution, forward: what this machine does best. A function that runs it, and its GFLOP."
    conv = torch.nn.Conv2d(256, 256, 3, padding=1).to(dtype).to(memory_format=torch.channels_last)
    x = torch.randn(8, 256, 64, 64, dtype=dtype).to(memory_format=torch.channels_last)
    @torch.no_grad()
    def run():
        for _ in range(3): conv(x)
    return run, 3*2*8*64*64*256*256*9/1e9


def step_flops(generator, discriminator, px, batch):
    "Floating-point operations of one step, counted by PyTorch."
    from torch.utils.flop_counter import FlopCounterMode
    step, _ = our_step(generator, discriminator, px, batch)
    with FlopCounterMode(display=False) as counter: step()
    return counter.get_total_flops()


def bench_step(pairs):
    "One CycleGAN step against the textbook's."
    rows = []
    for name, size in SIZES.items():
        generator, discriminator, px, batch = size
        fp32, (photo, monet) = our_step(*size)
        bf16, _ = our_step(*size, amp='bf16')
        book = Textbook(textbook_networks(generator, discriminator), pool=0)
        theirs, ours = book.step(photo, monet), fp32()
        apart = max(abs(theirs[k] - ours[k])/max(1, abs(theirs[k])) for k in theirs)
        peaks = {k: best_convolution(d) for k, d in (('fp32', torch.float32), ('bf16', torch.bfloat16))}
        t = in_turn(dict(textbook=lambda: book.step(photo, monet), fp32=fp32, bf16=bf16,
                         **{f'peak {k}': run for k, (run, _) in peaks.items()}), pairs)
        mid, gflop = {k: statistics.median(v) for k, v in t.items()}, step_flops(*size)/1e9
        best = {k: work/mid[f'peak {k}'] for k, (_, work) in peaks.items()}
        rows.append(dict(name=name, seconds={k: round(mid[k], 4) for k in ('textbook', 'fp32', 'bf16')},
                         losses_apart=apart, gflop=round(gflop, 1),
                         gflops={k: round(gflop/mid[k]) for k in peaks},
                         peak_gflops={k: round(v) for k, v in best.items()},
                         share_of_peak={k: round(gflop/mid[k]/best[k], 3) for k in peaks},
                         fp32_times_as_fast=ratio(t['textbook'], t['fp32']),
                         bf16_times_as_fast=ratio(t['textbook'], t['bf16'])))
    return rows


@contextmanager
def replaced(owner, name, value):
    "Put `value` in the place of an attribute inside a `with` block."
    before = owner.__dict__[name]
    setattr(owner, name, value)
    try: yield
    finally: setattr(owner, name, before)


def under(step, *changes):
    "The same step with some parts replaced."
    def job():
        with ExitStack() as stack:
            for change in changes: stack.enter_context(replaced(*change))
            step()
    return job


def norms_by_torch(nets):
    "PyTorch's own instance norms, which give their result back in the old order in memory."
    for m in nets.modules():
        if isinstance(m, torch.nn.InstanceNorm2d): m.__class__ = torch.nn.InstanceNorm2d
    return nets


def in_place(nets):
    "Activations that write over their input."
    for m in nets.modules():
        if isinstance(m, (torch.nn.ReLU, torch.nn.LeakyReLU)): m.inplace = True
    return nets


def group_norms(nets):
    "Group norm with one channel a group, the same function as instance norm."
    for net in [m for m in nets.modules() if not isinstance(m, torch.nn.InstanceNorm2d)]:
        for name, m in net.named_children():
            if isinstance(m, torch.nn.InstanceNorm2d):
                setattr(net, name, torch.nn.GroupNorm(m.num_features, m.num_features, affine=False))
    return nets


def narrow_borders(nets):
    "Mirrored borders in the precision of the picture; autocast makes them in fp32."
    for m in nets.modules():
        if isinstance(m, torch.nn.Conv2d) and m.padding_mode != 'zeros': m._conv_forward = partial(conv_with_border, m)
    return nets


def conv_with_border(conv, x, weight, bias):
    with torch.autocast('cpu', enabled=False):
        x = F.pad(x, conv._reversed_padding_repeated_twice, mode=conv.padding_mode)
    return F.conv2d(x, weight, bias, conv.stride)


def apart(self, net, source, target): return net(source), None if target is None else net(target)
def judged_apart(disc, real, fake, gan_loss): return gan_loss.disc(disc(real), disc(fake.detach()))


def compared(name, amp, what, without, with_it, pairs, kept):
    "A row of `bench_changes`: the time without a change over the time with it."
    t = in_turn(dict(without=without, with_it=with_it), pairs)
    return dict(name=f'{name}, {amp}: {what}', size=name, amp=amp, change=what, kept=kept,
                ratio=ratio(t['without'], t['with_it']))


def bench_changes(pairs):
    "What each part of the step buys: the time without it over the time with it."
    large, small = list(SIZES)[:2]
    return [row for name, amp in ((large, 'bf16'), (small, 'bf16'), (small, 'fp32'))
            for row in changes_of(name, amp, pairs)]


def changes_of(name, amp, pairs):
    "What was kept and what was tried in vain, for one size and precision."
    def ours(**kwargs): return our_step(*SIZES[name], amp=amp, **kwargs)[0]
    step, fourth, often = ours(), ours(settings=dict(identity_every=4)), ours()
    kept = {'both inputs of a generator in one batch': under(step, (CycleNetworks, '_translate', apart)),
            'real and fake in one batch for a discriminator': under(step,
                                                                    (cyclegan, 'discriminator_loss', judged_apart)),
            'frozen discriminators in the generators\' turn': under(step, (cyclegan, 'frozen', nullcontext)),
            'one pass over the memory for Adam (fused)': ours(fused=False),
            'channels last in memory': ours(layout=torch.contiguous_format),
            'an instance norm that keeps this order': ours(change=norms_by_torch)}
    tried = {'group norm in the place of instance norm': ours(change=group_norms),
             'every activation in place': ours(change=in_place)}
    if amp == 'bf16': tried['borders mirrored in bf16'] = ours(change=narrow_borders)
    rows = [compared(name, amp, what, without, step, pairs, kept=True) for what, without in kept.items()]
    rows.append(compared(name, amp, 'identity in every fourth step only (an option)',
                         lambda: [often() for _ in range(4)], lambda: [fourth() for _ in range(4)], pairs, kept=True))
    return rows + [compared(name, amp, what, step, job, pairs, kept=False) for what, job in tried.items()]


def bench_compile(pairs):
    "What `torch.compile` buys, and how long the first step takes then."
    name, rows = list(SIZES)[1], []
    for amp in ('fp32', 'bf16'):
        step, compiled = our_step(*SIZES[name], amp=amp)[0], our_step(*SIZES[name], amp=amp, compile={})[0]
        start = time.perf_counter()
        compiled()
        first = time.perf_counter() - start
        rows.append({**compared(name, amp, 'torch.compile', step, compiled, pairs, kept=False),
                     'first_step_seconds': round(first)})
    return rows


def bench_profile(pairs):
    "Where the time of a step goes, by kind of operation."
    kinds = {'convolution, backward': ('convolution_backward',),
             'convolution, forward': ('mkldnn_convolution', 'slow_conv', 'thnn_conv'),
             'norm': ('batch_norm', 'instance_norm'), 'padding': ('pad',),
             'copies and casts': ('copy_', 'clone', '_to_copy', 'cat'),
             'activation': ('relu', 'threshold', 'clamp', 'tanh'), 'Adam and average': ('adam', 'lerp')}
    rows = []
    for name in list(SIZES)[:2]:
        for amp in ('fp32', 'bf16'):
            step, _ = our_step(*SIZES[name], amp=amp)
            step()
            with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
                for _ in range(3): step()
            parts = Counter()
            for e in profile.key_averages():
                kind = next((k for k, words in kinds.items() if any(w in e.key for w in words)), 'the rest')
                parts[kind] += e.self_cpu_time_total
            total = sum(parts.values())
            rows.append(dict(name=f'{name}, {amp}', share={k: round(v/total, 3) for k, v in parts.most_common()}))
    return rows


def peak_memory(code):
    "Largest memory in MB of a fresh process that runs `code`."
    done = subprocess.run([sys.executable, '-c', f'import bench\n{code}\nprint(bench.my_peak())'], capture_output=True,
                          text=True, cwd=Path(__file__).parent)
    if done.returncode: raise RuntimeError(done.stderr[-2000:])
    return float(done.stdout.split()[-1])


def my_peak():
    "Largest memory in MB of this process so far. `getrusage` would count what the process had that started it."
    status = Path('/proc/self/status')
    if status.exists(): return int(re.search(r'VmHWM:\s+(\d+)', status.read_text())[1])/1024
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/2**(20 if sys.platform == 'darwin' else 10)


def bench_memory(pairs):
    "Peak memory of three steps, over that of the imports."
    head = 'from textbook import Textbook; '
    base, rows = peak_memory(head), []
    for name, size in SIZES.items():
        run = {'textbook': f'b = Textbook(bench.textbook_networks(*{size[:2]!r})); x, y = bench.our_step(*{size!r})[1]; '
                           '[b.step(x, y) for _ in range(3)]',
               **{amp: f's = bench.our_step(*{size!r}, amp={amp!r})[0]; [s() for _ in range(3)]'
                  for amp in ('fp32', 'bf16')}}
        rows.append(dict(name=name, megabytes={k: round(peak_memory(head + code) - base) for k, code in run.items()}))
    return rows


def write_photos(folder, n, px, names=('photo_jpg', 'monet_jpg')):
    "JPEGs for the parts that read files."
    for name, pictures in zip(names, toy_pairs(n, 64)):
        (folder/name).mkdir(parents=True, exist_ok=True)
        for i, x in enumerate(pictures):
            write_picture(Image.fromarray(x).resize((px, px), Image.LANCZOS), folder/name/f'{i:04}.jpg', 'JPEG',
                          quality=90)


def bench_loading(pairs):
    "Pictures a second from files, cold and cached, and what a step needs; and a step with real loading against the step alone."
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        write_photos(tmp, 300, 256)
        found = picture_folders(tmp)
        start = time.perf_counter()
        dls = unpaired_dls(found.photos, found.monets, size=144, crop=128, bs=4, device='cpu')
        cold = 600/(time.perf_counter() - start)
        rates = []
        for _ in range(3):
            start = time.perf_counter()
            n = sum(2*len(x) for x, _ in dls.train)
            rates.append(n/(time.perf_counter() - start))
        rows = [dict(name='pictures a second, first reading (256 px JPEG to 144 px)', value=round(cold)),
                dict(name='pictures a second, cached (128 px crops)', value=round(max(rates)))]
        for label, kind in (('bf16', 'bf16'), ('fp32', 'fp32')):
            step, _ = our_step(dict(arch='resnet', width=32, blocks=3), dict(n_layers=2, width=64), 64, 4, amp=kind)
            small = unpaired_dls(found.photos, found.monets, size=72, crop=64, bs=4, device='cpu')
            batches = iter(small.train)
            def loaded():
                nonlocal batches
                try: next(batches)
                except StopIteration: batches = iter(small.train); next(batches)
                step()
            t = in_turn({'alone': step, 'with loading': loaded}, max(pairs, 15))
            rows.append(dict(name=f'64 px step in {label}: with loading against alone',
                             ratio=ratio(t['with loading'], t['alone'])))
    return rows


def bench_painting(pairs):
    "Pictures a second, and what four times as many cost."
    torch.manual_seed(0)
    painter, rows = Painter(build_generator('resnet', width=32, blocks=3), device='cpu'), []
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        seconds = {}
        for n in (24, 96):
            write_photos(tmp/f'in{n}', n, 256, ('photos',))
            start = time.perf_counter()
            painter.paint_folder(tmp/f'in{n}/photos', tmp/f'out{n}', progress=False)
            seconds[n] = time.perf_counter() - start
        rows.append(dict(name='256 px pictures painted a second', value=round(96/seconds[96], 2)))
        rows.append(dict(name='painting 96 pictures against 24: time', value=round(seconds[96]/seconds[24], 2)))
        code = ("from pathlib import Path; import torch; from monet_course.workshop.registry import build_generator; "
                "from monet_course.paint import Painter; "
                "Painter(build_generator('resnet', width=32, blocks=3), device='cpu').paint_folder({!r}, {!r}, progress=False)")
        mb = {n: peak_memory(code.format(str(tmp/f'in{n}/photos'), str(tmp/f'again{n}'))) for n in (24, 96)}
        rows.append(dict(name='painting 96 pictures against 24: peak memory', value=round(mb[96]/mb[24], 3),
                         megabytes={k: round(v) for k, v in mb.items()}))
    return rows


def bench_scores(pairs):
    "Features and scores of 1,000 pictures, and of 250."
    from monet_course.metrics import fid, kid
    from monet_course.workshop.features import feature_table, load_extractor
    try: extractor, name = load_extractor('efficientnet-lite0'), 'EfficientNet-Lite0'
    except ImportError: extractor, name = load_extractor('plain'), 'plain'
    pictures, rows, seconds = toy_pairs(1000, 64)[0], [], {}
    for n in (250, 1000):
        start = time.perf_counter()
        table = feature_table(extractor, pictures[:n])
        seconds[n] = time.perf_counter() - start
    start = time.perf_counter()
    kid(table[:500], table[500:])
    rows = [dict(name=f'features of 1,000 pictures, {name}: seconds', value=round(seconds[1000], 1)),
            dict(name='1,000 pictures against 250: time', value=round(seconds[1000]/seconds[250], 2)),
            dict(name='KID of 500 and 500: seconds', value=round(time.perf_counter() - start, 2))]
    start = time.perf_counter()
    fid(table[:500], table[500:])
    return rows + [dict(name='FID of 500 and 500: seconds', value=round(time.perf_counter() - start, 2)),
                   scoring_memory()]


def scoring_memory():
    "Peak memory of scoring a folder, against one with a quarter of the pictures."
    code = ("from monet_course.metrics import kid; from monet_course.workshop.features import feature_table, load_extractor; "
            "t = feature_table(load_extractor('plain'), sorted(bench.Path({!r}).iterdir()), 128); "
            "kid(t[::2], t[1::2])")
    with tempfile.TemporaryDirectory() as tmp:
        mb = {}
        for n in (250, 1000):
            write_photos(Path(tmp)/str(n), n, 256, ('photos',))
            mb[n] = peak_memory(code.format(f'{tmp}/{n}/photos'))
    return dict(name='scoring 1,000 pictures against 250: peak memory', value=round(mb[1000]/mb[250], 3),
                megabytes={k: round(v) for k, v in mb.items()})


def bench_import(pairs):
    "`import monet_course.train` against torch and torchvision, and against fastai alone."
    def job(code): return lambda: subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True, cwd=ROOT)
    t = in_turn({'torch': job('import torch, torchvision'), 'fastai': job('import torch, torchvision, fastai.basics'),
                 'ours': job('import monet_course.train')}, pairs)
    return [dict(name='import monet_course.train against import torch, torchvision', ratio=ratio(t['ours'], t['torch']),
                 seconds=round(statistics.median(t['ours']), 2)),
            dict(name='import fastai.basics against import torch, torchvision', ratio=ratio(t['fastai'], t['torch']))]


def bench_tests(pairs):
    "The whole of `make test`."
    start = time.perf_counter()
    done = subprocess.run([sys.executable, 'tools/test.py'], capture_output=True, text=True, cwd=ROOT)
    return [dict(name='all lessons as tests: minutes', value=round((time.perf_counter() - start)/60, 1),
                 says=done.stdout.strip().splitlines()[-1])]


PARTS = dict(step=bench_step, changes=bench_changes, profile=bench_profile, memory=bench_memory, loading=bench_loading,
             painting=bench_painting,
             scores=bench_scores, compile=bench_compile, **{'import': bench_import, 'tests': bench_tests})
LONG = ['compile'] # many minutes; only where it is named


def show(part, rows):
    for row in rows:
        rest = {k: v for k, v in row.items() if k != 'name'}
        print(f'{part:9}{row["name"]}: ' + ', '.join(f'{k.replace("_", " ")} {v}' for k, v in rest.items()), flush=True)


if __name__ == '__main__':
    parser = ArgumentParser('make bench', description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('--only', nargs='+', choices=PARTS, default=[p for p in PARTS if p not in LONG],
                        help=f'parts (default: all but {", ".join(LONG)})')
    parser.add_argument('--pairs', type=int, default=7, help='pairs of timings')
    parser.add_argument('--out', default=str(ROOT/'benchmarks/results.json'), help='the JSON file')
    args = parser.parse_args()
    out = dict(when=datetime.now().isoformat(timespec='minutes'), torch=torch.__version__,
               python=platform.python_version(), cores=os.cpu_count(),
               threads=torch.get_num_threads(), parts={})
    for part in args.only:
        out['parts'][part] = PARTS[part](args.pairs)
        show(part, out['parts'][part])
    Path(args.out).write_text(json.dumps(out, indent=1))
