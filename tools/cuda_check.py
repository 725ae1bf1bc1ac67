"""What can be proved about CUDA without a card: trainings on pretended cards (tools/card), and the lessons on one.

    python tools/cuda_check.py               # the trainings, and the lessons that are about cards, with their `#| cuda` cells
    python tools/cuda_check.py --all         # the trainings, then every lesson
    python tools/cuda_check.py --only two_cards

Each training has a process of its own. A pretended card refuses what CUDA refuses: mixed devices, a device that is not
there, NumPy, random numbers of a CPU generator, and under a guard every wait. Speed, memory, compiled networks and NCCL
need a real one: `make gpu`.
"""
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

import torch.utils.backend_registration as registration
from fastai.callback.core import Callback
from jobs import ROOT, Job, on_cards, run_all

TOOLS = ROOT/'tools'
CUDA_LESSONS = ['nbs/10', 'nbs/12', 'workshop/devices', 'workshop/learner', 'workshop/checkpoint']
TINY = dict(scenes=16, crop=32, batch=2,
            generator=dict(arch='resnet', width=4, blocks=1, up='resize', norm='batch', skip=True),
            discriminator=dict(n_layers=1, width=4), epochs=2, log_every=2, pool=4)


def elsewhere(code, cards):
    "What Python code prints in a process with so many cards; its error, if it fails."
    done = subprocess.run([sys.executable, '-c', 'from cuda_check import *\n' + code], capture_output=True, text=True,
                          env={**os.environ, **on_cards(cards)})
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def quiet(**settings):
    "`fit`, without what it prints."
    from monet_course.train import fit
    with contextlib.redirect_stdout(io.StringIO()): return fit(**settings)


class Places(Callback):
    "Writes down where each process computes."
    def before_fit(self):
        (self.learn.path/f'place_{self.learn.team.rank}').write_text(str(next(self.learn.model.parameters()).device))

class StopAt(Callback):
    "Asks for a stop, as Ctrl-C does."
    def __init__(self, step): self.step_then = step
    def after_batch(self):
        if self.learn.step == self.step_then: self.learn.checkpoint.stop = 2


def places(run): return [p.read_text() for p in sorted(run.path.glob('place_*'))]


# --- the checks: each is a function, run with the cards it names

CHECKS = {}
def on(cards=1, kind='T4'):
    def put(check): CHECKS[check.__name__] = check, cards, kind; return check
    return put


@on(cards=2)
def two_cards():
    "Two processes on two cards, stopped and resumed: each keeps a card of its own."
    from monet_course.apps.launch import launch
    with contextlib.redirect_stdout(io.StringIO()):
        run = launch(2, **TINY, amp='fp32', epoch_len=32, cbs=[Places(), StopAt(10)], out='two')
        before, stored = places(run), json.loads((run.path/'config.json').read_text())['settings']['device']
        for p in run.path.glob('place_*'): p.unlink()
        run = launch(2, resume=run.path, cbs=[Places()])
    after = places(run)
    assert before == after == ['card:0', 'card:1'], (before, after)
    assert stored == 'auto', stored
    return f'{before}, resumed on {after}; config.json says {stored!r}'


@on(cards=1)
def more_processes_than_cards():
    "Two processes and one card: on the CPU they train, on the card they say that it cannot work."
    from monet_course.apps.launch import launch
    with contextlib.redirect_stdout(io.StringIO()): launch(2, **TINY, amp='fp32', epoch_len=8, device='cpu', out='cpu')
    try: launch(2, **TINY, epoch_len=8, out='card')
    except ValueError as e: return f'on the CPU they train; else: {e}'
    raise AssertionError('two processes on one card')


def trains(half):
    "A training with `auto`, on the card and in its half precision."
    run = quiet(**TINY)
    places = {str(p.device) for net in (run.learn.model, run.learn.ema.net) for p in net.parameters()}
    assert places == {'card:0'} and run.config.amp == half, (places, run.config.amp)
    assert run.learn.scaler.is_enabled() == (half == 'fp16')
    assert all(p.isfinite().all() for p in run.learn.model.state_dict().values())
    return f'{run.learn.step} steps in {run.config.amp}'

@on(kind='T4')
def trains_on_a_t4(): return trains('fp16')
@on(kind='A100')
def trains_on_an_a100(): return trains('bf16')


@on()
def resumed():
    """A run and its copy, resumed, make the same next step on a card, but for rounding.

    More steps would tell nothing: there rounding grows, also between two runs that nobody stops.
    """
    import torch
    # a bias before a norm has no gradient but rounding
    weights = lambda learn: torch.cat([p.detach().cpu().flatten() for p in learn.model.parameters() if p.dim() == 4])
    at = {}

    class CopyAt(Callback):
        order = 85 # before the checkpoint stops the run
        def after_batch(self):
            at[self.learn.step] = weights(self.learn)
            if self.learn.step == 5:
                self.learn.checkpoint.save()
                shutil.copytree(self.learn.path, 'copy')
    run = quiet(**TINY, amp='fp32', cbs=[CopyAt(), StopAt(6)])
    went_on = quiet(resume='copy', cbs=[StopAt(6)])
    assert run.learn.step == went_on.learn.step == 6
    apart = float((weights(went_on.learn) - at[6]).norm()/(at[6] - at[5]).norm())
    assert 0 < apart < .001, apart
    return f'after the next step the weights are {apart:.0e} of that step apart'


@on(cards=2)
def another_machine():
    "A run made where there are two cards goes on where there is one, where there is none, and back; device= may be given."
    run = quiet(**TINY, amp='fp32', cbs=[StopAt(3)])
    from monet_course.workshop.devices import pick_precision
    go_on = 'run = quiet(resume={!r}, cbs=[StopAt({})]{})\nprint(run.learn.step, next(run.learn.model.parameters()).device)'
    found = [elsewhere(go_on.format(str(run.path), 6, ''), 1), elsewhere(go_on.format(str(run.path), 9, ''), 0),
             elsewhere(go_on.format(str(run.path), 12, ', device="card:1"'), 2),
             elsewhere(go_on.format(str(run.path), 15, ', device="cpu"'), 2)]
    assert found == ['6 card:0', '9 cpu', '12 card:1', '15 cpu'], found
    lost = elsewhere(go_on.format(str(run.path), 16, ', device="card"'), 0)
    assert lost.startswith('ValueError') and 'no NVIDIA card here; device=auto or cpu' in lost, lost
    # on a CPU, where weights and moments lie in another order
    begun = elsewhere("print(quiet(**TINY, amp='fp32', cbs=[StopAt(3)]).path)", 0)
    onto_card = elsewhere(go_on.format(begun, 6, ''), 1)
    assert onto_card == '6 card:0', onto_card
    half = quiet(**TINY, cbs=[StopAt(3)])
    laptop = elsewhere(go_on.format(str(half.path), 6, ', amp="auto"') + '\nprint(run.config.amp)', 0)
    assert half.config.amp == 'fp16' and laptop.split() == ['6', 'cpu', pick_precision('cpu')], laptop
    return ', '.join([*found, f'fp16 goes on as {" ".join(laptop.split())}'])


@on(cards=0)
def commands_without_a_card():
    "A card that is not there: each command says one sentence."
    from PIL import Image
    from monet_course.paint import SHIPPED
    for name in ('photo.png', 'other.png'): Image.new('RGB', (64, 64), 'teal').save(name)
    for call in ('fit import monet_fit', '--scenes', '8'), ('paint import monet_paint',
                                                            'photo.png'), ('score import monet_score', '.',
                                                                           '.'), ('submit import monet_submit',
                                                                                  str(SHIPPED), '.', '--any-count'):
        name = call[0].split()[-1]
        done = subprocess.run([sys.executable, '-c', f'from monet_course.apps.{call[0]}; {name}()', *call[1:],
                               '--device', 'card'], capture_output=True, text=True)
        last = (done.stderr or done.stdout).strip().splitlines()[-1]
        assert done.returncode == 2 and 'Traceback' not in done.stderr and 'no NVIDIA card' in last, (
            f'{name}: {done.stderr[-600:]}')
    return last


@on(cards=0)
def compile_with_penalty():
    "torch.compile cannot differentiate twice, as the gradient penalty does: refused in words."
    from monet_course.train import Config
    try: Config(adversarial='wgan-gp', compile={})
    except ValueError as e: return str(e)
    raise AssertionError('it was taken')


@on()
def a_jury_starts_alike():
    "One seed, one start, whether its eye was made before or not; on a card the eye is there before the first picture."
    import torch
    from monet_course import jury as j
    starts, made, init = [], [], j.Eye.__init__
    for _ in range(2):
        torch.manual_seed(0)
        starts.append(torch.cat([p.detach().flatten() for p in j.jury(n_layers=1, width=8).parameters()]))
    assert torch.equal(*starts), 'the second start is another'
    net = j.jury(n_layers=1, width=8).to('card')
    j.Eye.__init__ = lambda self: (made.append(1), init(self))[1]
    size = j.eye_on.cache_info().currsize
    net(torch.rand(1, 3, 32, 32).to('card'))
    assert not made and j.eye_on.cache_info().currsize == size, 'an eye was made inside the first forward pass'
    return 'two starts are equal; no eye was made in a forward pass'


@on()
def an_overflow_is_noticed():
    "A statistic of a batch norm that is no longer finite: no checkpoint is written over the good one, and no trial is scored."
    from monet_course.workshop.checkpoint import TrainingDiverged, Checkpoint

    class Overflow(Callback):
        order = Checkpoint.order - 1
        def after_batch(self):
            if self.learn.step == 12:
                next(b for n, b in self.learn.model.named_buffers() if n.endswith('running_var')).fill_(float('inf'))
    try: quiet(**TINY, amp='fp16', cbs=[Overflow()])
    except TrainingDiverged as e: said = str(e)
    else: raise AssertionError('fit went on, and saved it')
    from monet_course.experiments import run_trial, unseen_scenes
    from monet_course.workshop.features import load_extractor
    settings = {k: v for k, v in TINY.items() if k != 'log_every'}
    try: run_trial(dict(settings, amp='fp16'), 0, unseen_scenes(8), load_extractor('plain'), cbs=[Overflow()])
    except TrainingDiverged: return said
    raise AssertionError('the trial was scored')


@on(kind='A100')
def memory_order():
    "Channels last in half precision, but not where instance norms would turn each tensor round."
    from monet_course.train import Config, config_dls, make_learner
    found = {}
    for norm in ('instance', 'batch'):
        config = Config(**{**TINY, 'generator': dict(TINY['generator'], norm=norm)}).resolved()
        found[norm] = str(make_learner(config, config_dls(config)[0]).layout)
    assert found == dict(instance='torch.contiguous_format', batch='torch.channels_last'), found
    return str(found)


@on()
def nothing_waits():
    "An epoch under the guard: no step waits for the card, in any precision, with any loss, with a jury, loading included."
    return ', '.join(f'{name}: {no_waits(**settings)} steps' for name,
                     settings in dict(fp32=dict(amp='fp32'), fp16=dict(amp='fp16'), bf16=dict(amp='bf16'),
                                      penalty=dict(amp='fp16', adversarial='wgan-gp'),
                     clipping=dict(adversarial='wgan'), hinge=dict(adversarial='hinge'), no_pool=dict(pool=0),
                     jury=dict(amp='fp16', discriminator=dict(arch='jury', n_layers=1, width=4))).items())

def no_waits(**settings):
    "Steps of an epoch in which a wait would raise, after an epoch without the guard."
    import torch
    from monet_course.train import Config, config_dls, make_learner
    config = Config(**{**TINY, 'scenes': 8, **settings}).resolved()
    learn = make_learner(config, config_dls(config)[0])
    for mode in ('default', 'error'):
        torch.cuda.set_sync_debug_mode(mode)
        for x, y in learn.dls.train:
            learn.one_step(*(t.to(memory_format=learn.layout) for t in (x, y)))
    torch.cuda.set_sync_debug_mode('default')
    assert all(p.is_cuda for p in learn.model.parameters())
    return learn.step//2


@on()
def a_wait_is_seen():
    "The guard can fail: a step that reads its loss raises."
    from monet_course.workshop.learner import TwoPlayerLearner
    step = TwoPlayerLearner.one_step
    TwoPlayerLearner.one_step = lambda self, x, y: (step(self, x, y), self.loss.item())
    try: no_waits(amp='fp32')
    except RuntimeError as e: return str(e)
    raise AssertionError('it did not wait')


@on()
def paints_and_scores():
    "Painter and features on the card against the CPU."
    import numpy as np
    from monet_course.workshop.scenes import toy_pairs
    from monet_course.workshop.features import feature_table, load_extractor
    from monet_course.paint import Painter
    from PIL import Image
    photo, scenes = Image.radial_gradient('L').convert('RGB').resize((150, 210)), toy_pairs(8, 64)[0]
    for tile in (None, 96):
        a, b = (np.asarray(Painter.load(device=d, **(dict(tile=tile) if tile else {})).paint(photo), int)
                for d in ('card', 'cpu'))
        assert np.abs(a - b).max() <= 1, np.abs(a - b).max()
    a, b = (feature_table(load_extractor('plain'), list(scenes), device=d) for d in ('card', 'cpu'))
    assert np.abs(a - b).max() < 1e-4*np.abs(b).max()
    return 'paintings within one level of 255, features alike'


@on()
def workers_load():
    "Two processes load the pictures of a training on a card."
    run = quiet(**TINY, workers=2)
    return f'{run.learn.step} steps'


@on()
def in_a_terminal():
    "The command trains on the card that it was told, and reads its checkpoint there."
    words = [x for name, v in {**TINY, 'epochs': 1}.items()
             for x in ('--' + name.replace('_', '-'), json.dumps(v) if isinstance(v, dict) else str(v))]
    for call in (*words, '--device', 'card'), ('--resume', 'runs'):
        if '--resume' in call: call = '--resume', str(next(Path('runs').iterdir()))
        done = subprocess.run([sys.executable, '-m', 'monet_course.apps.fit', *call], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-800:]
    assert 'finished, after 8 steps' in done.stdout, done.stdout
    return 'trained, and read again: finished, after 8 steps'


def rehearsed(device, parts=None):
    "What `make gpu` finds at tiny sizes; in its program 'cuda' is read as the pretended card."
    from pretended_card import as_card
    Path('gpu.py').write_text(as_card((TOOLS/'gpu.py').read_text(encoding='utf-8')), encoding='utf-8')
    done = subprocess.run([sys.executable, 'gpu.py', '--tiny', '--device', device, '--out', 'gpu.json',
                           *(['--parts', parts] if parts else [])], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-1500:]
    return done.stdout.strip()

@on(cards=0)
def make_gpu_on_the_cpu(): return rehearsed('cpu')
@on()
def make_gpu_on_a_card(): return rehearsed('card', 'versions,presets,no_waits,elsewhere,agreement,memory')


def check(name):
    "One check, in an empty folder."
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        print(CHECKS[name][0]())
        os.chdir('/')
    print('proved')


def main():
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('--only', nargs='*', help='names of checks; no lessons then')
    parser.add_argument('--all', action='store_true', help='every lesson, not only those about cards')
    parser.add_argument('--one', help='run one check in this process')
    parser.add_argument('--limit', type=float, default=300, help='seconds that a check may take')
    args = parser.parse_args()
    if args.one: return check(args.one)
    if not hasattr(registration, '_setup_privateuseone_for_python_backend'):
        return print('cuda-check: nothing was checked; this PyTorch cannot have devices made in Python, 2.14 can') or True
    names = args.only if args.only is not None else list(CHECKS)
    if (unknown := set(names) - set(CHECKS)):
        sys.exit(f'no such check: {", ".join(sorted(unknown))}; there are {", ".join(CHECKS)}')
    jobs = [Job(f'{name}, {CHECKS[name][1]} pretended {CHECKS[name][2]}', [sys.executable, __file__, '--one', name],
                ROOT, 'proved', on_cards(*CHECKS[name][1:])) for name in names]
    lessons = [sys.executable, TOOLS/'test.py', '--cards', '1']
    if args.only is None and not args.all:
        jobs.insert(0, Job('lessons about cards, 1 pretended T4', [*lessons, '--workers', '1', *CUDA_LESSONS], ROOT,
                           ' 0 failed'))
    passed = run_all(jobs, args.limit, 2)
    print(f'cuda-check: {passed} checks pass, {len(jobs) - passed} fail', flush=True)
    if args.all and subprocess.run(lessons).returncode: return False
    return passed == len(jobs)


if __name__ == '__main__': sys.exit(0 if main() or '--one' in sys.argv else 1)
