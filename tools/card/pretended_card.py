"""A pretended NVIDIA card: its tensors hold their numbers on the CPU, say that they are on a card, and refuse what CUDA refuses.

It shows which lines mix devices, draw a card's random numbers from a CPU generator, read a card's tensor with NumPy,
ask for a card that is not there, or make the program wait for the card (those raise under
`torch.cuda.set_sync_debug_mode('error')`, as on CUDA). Autocast casts the operations that it casts on CUDA; the backward
passes that are not deterministic there differ in their last bit from run to run; fused Adam wants weights and moments
in one order. What it cannot show: speed, memory, half-precision kernels, NCCL and CUDA graphs.

PyTorch lets Python add one kind of device. It is called `card` here, and in each module of monet_course
the word 'cuda' is read as 'card' (`as_card`).
"""
import io
import re
import sys
import tokenize
import warnings
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader
from types import SimpleNamespace

import torch
import torch.utils.backend_registration as registration
from torch.utils._pytree import tree_leaves, tree_map

KINDS = dict(T4=((7, 5), 15.8e9), A100=((8, 0), 42.4e9)) # capability, memory
state = SimpleNamespace(count=0, kind='T4', rng=[], guard='default', noise=torch.Generator())
state.noise.seed() # no two runs have the same

# --- what a card's tensor is, and what it refuses

# operations that take tensors of the CPU, too
MAY_MIX = {'copy_', '_to_copy', 'index', 'index_put', 'index_put_', '_index_put_impl_'}
# CUDA adds up in an order that changes from run to run
UNSURE = {'convolution_backward', 'reflection_pad1d_backward', 'reflection_pad2d_backward'}
# their answer's value or shape is needed at once
WAITS = {'_local_scalar_dense', 'nonzero', 'masked_select', 'equal', 'is_nonzero', '_unique2', 'unique_dim',
         'unique_consecutive'}


class Card(torch.Tensor):
    "A tensor on a pretended card."
    @staticmethod
    def __new__(cls, numbers, index=0):
        self = torch.Tensor._make_wrapper_subclass(cls, numbers.size(), strides=numbers.stride(),
                                                   storage_offset=numbers.storage_offset(), dtype=numbers.dtype,
                                                   # PyTorch's engine knows one device of this kind
                                                   device=torch.device('card', 0))
        self.numbers, self.index = numbers, index
        return self

    @property
    def device(self): return torch.device('card', self.index)

    __torch_function__ = torch._C._disabled_torch_function_impl
    @classmethod
    def __torch_dispatch__(cls, op, types, args=(), kwargs=None): return compute(op, args, kwargs or {})
    def numpy(self, *args, **kwargs):
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host "
                        "memory first.")
    def __array__(self, *args, **kwargs): return self.numpy()
    def tolist(self): wait('tolist'); return self.numbers.tolist()
    def __repr__(self, **kwargs): return f"{self.numbers!r} on {self.device}"
    def __reduce_ex__(self, protocol): return Card, (self.numbers, self.device.index)


def wait(what):
    "The program waits for the card: refused where the guard says so."
    if state.guard in (2, 'error'): raise RuntimeError(f'called a synchronizing CUDA operation ({what})')


def there(device):
    "The number of a card; one that is not there is refused."
    index = torch.device(device).index or 0 if not isinstance(device, int) else device
    if index >= state.count: raise RuntimeError(f'CUDA error: invalid device ordinal ({device}, {state.count} there)')
    return index


def noisy(x):
    "A result as another order of adding up leaves it: its last bits differ."
    if not isinstance(x, torch.Tensor) or not x.is_floating_point(): return x
    return x*(1 + (torch.rand(x.shape, generator=state.noise) - .5)*2*torch.finfo(x.dtype).eps).to(x.dtype)


def compute(op, args, kwargs):
    "One operation, some of whose tensors are on a card."
    if op.namespace == 'aten' and torch._C._dispatch_has_kernel_for_dispatch_key(op.name(),
                                                                                 'CompositeImplicitAutograd'):
        if (out := op.decompose(*args, **kwargs)) is not NotImplemented: return out
    name, tensors = op._schema.name.split('::')[1], [x for x in tree_leaves((args, kwargs))
                                                     if isinstance(x, torch.Tensor)]
    indices, on_cpu = {x.device.index for x in tensors if isinstance(x, Card)}, [x for x in tensors
                                                                                 if not isinstance(x, Card)]
    device = None if kwargs.get('device') is None else torch.device(kwargs['device'])

    if name == 'copy_': target = args[0].device
    else: target = device or torch.device('card', min(indices)) if indices or device else torch.device('cpu')
    if target.type == 'card': target = torch.device('card', there(target))
    if name not in MAY_MIX and (len(indices) > 1 or any(x.dim() for x in on_cpu)):
        raise RuntimeError('Expected all tensors to be on the same device, but found at least two devices, '
                           f'{", ".join(sorted({str(x.device) for x in tensors}))}! ({name})')
    if name in MAY_MIX - {'copy_', '_to_copy'} and not isinstance(args[0], Card):
        raise RuntimeError('indices should be either on cpu or on the same device as the indexed tensor (cpu)')
    if name == '_fused_adam_' and any(x.stride() != p.stride() for row in args[1:4] for p, x in zip(args[0], row)):
        raise RuntimeError('params, grads, exp_avgs, and exp_avg_sqs must have same dtype, device, and layout')
    generator = kwargs.get('generator')
    if generator is not None and target.type == 'card':
        raise RuntimeError(f"Expected a 'cuda' device type for generator but found '{generator.device.type}'")

    if name in WAITS or name == 'index' and any(x is not None and x.dtype in (torch.bool, torch.uint8)
                                                for x in args[1]):
        wait(name)
    if name == '_to_copy' and target.type != 'card': wait('a copy to the CPU')
    if name == 'copy_' and isinstance(args[0], Card) != isinstance(args[1],
                                                                   Card) and not (len(args) > 2 and args[2]
                                                                                  or kwargs.get('non_blocking')):
        wait('a copy that is not non_blocking')

    back = {id(x.numbers): x for x in tensors if isinstance(x, Card)} # in-place operations answer with the same tensor
    bare = lambda tree: tree_map(lambda x: x.numbers if isinstance(x, Card) else x, tree)
    kwargs = {**bare(kwargs), **(dict(device=torch.device('cpu')) if device is not None else {})}
    if target.type == 'card' and torch.Tag.nondeterministic_seeded in op.tags:
        was = torch.default_generator.get_state()
        torch.default_generator.set_state(state.rng[target.index])
        try: out = op(*bare(args), **kwargs)
        finally:
            state.rng[target.index] = torch.default_generator.get_state()
            torch.default_generator.set_state(was)
    else: out = op(*bare(args), **kwargs)
    if name == '_to_copy' and out is bare(args)[0]: out = out.clone()
    if name in UNSURE and target.type == 'card': out = tree_map(noisy, out)
    if name in ('_local_scalar_dense', 'equal', 'is_nonzero'): return out
    return tree_map(lambda x: back[id(x)] if id(x) in back else Card(x, target.index) if isinstance(x, torch.Tensor)
                    and target.type == 'card' else x, out)


# --- new tensors on a card, and autocast

def overload_of(name):
    packet, overload = name.partition('.')[::2]
    return getattr(getattr(torch.ops.aten, packet), overload or 'default')


def new(make):
    "A kernel that makes an empty tensor of a card."
    def kernel(*args, device=None, pin_memory=None, layout=None, **kwargs):
        return Card(make(*args, **kwargs, device='cpu'), there(device))
    return kernel


def copy_from(source, target, non_blocking=False):
    "The kernel of a copy that begins inside PyTorch, such as that of a list into a tensor."
    if not non_blocking: wait('a copy that is not non_blocking')
    numbers_of(target).copy_(numbers_of(source))
    return target


HALF = ('conv1d conv2d conv3d convolution conv_transpose1d conv_transpose2d.input conv_transpose3d.input '
        'linear matmul addmm mm mv bmm baddbmm addbmm einsum prelu scaled_dot_product_attention').split()
FLOAT = ('acos asin cosh erfinv exp expm1 log log10 log2 log1p reciprocal rsqrt sinh tan '
         'pow.Tensor_Scalar pow.Tensor_Tensor pow.Scalar softplus layer_norm group_norm '
         'cosine_similarity nll_loss kl_div l1_loss smooth_l1_loss huber_loss mse_loss binary_cross_entropy_with_logits '
         'cdist dist renorm logsumexp upsample_nearest2d.vec upsample_bilinear2d.vec upsample_bicubic2d.vec '
         'prod softmax.int log_softmax.int cumsum sum sum.dim_IntList '
         'norm.Scalar norm.ScalarOpt_dim linalg_vector_norm').split()
WIDEST = 'addcdiv addcmul atan2 cross dot grid_sampler vdot tensordot stack cat'.split()


def casting(op, pick):
    "An operation's kernel under autocast."
    def kernel(*args, **kwargs):
        floats = [x.dtype for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor) and x.is_floating_point()
                  and x.dtype != torch.float64]
        with torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)):
            if not floats: return op(*args, **kwargs)
            dtype = pick(floats)
            return op(*(tree_map(lambda x: x.to(dtype) if isinstance(x, torch.Tensor) and x.is_floating_point()
                                 and x.dtype != torch.float64 else x, tree) for tree in args), **kwargs)
    return kernel


def register(library, others):
    others.fallback(torch.library.fallthrough_kernel) # other operations take what they get
    for name in 'empty.memory_format empty_strided arange arange.start arange.start_step eye eye.m'.split():
        library.impl(name, new(overload_of(name)), 'PrivateUse1')
    library.impl('_copy_from', copy_from, 'PrivateUse1')
    widest = lambda floats: torch.float32 if torch.float32 in floats else floats[0]
    for names, pick in (HALF, lambda _: torch.get_autocast_dtype('card')), (FLOAT, lambda _: torch.float32), (WIDEST,
                                                                                                              widest):
        for name in names: library.impl(name, casting(overload_of(name), pick), 'AutocastPrivateUse1')


# --- what PyTorch says about cards

class Backend(registration._DummyBackendModule):
    "What PyTorch asks about its own kind of device."
    def device_count(self): return state.count
    def get_amp_supported_dtype(self): return [torch.float16, torch.bfloat16]
    def manual_seed_all(self, seed): state.rng = [torch.Generator().manual_seed(seed).get_state() for _ in state.rng]
    manual_seed = manual_seed_all
    def get_rng_state(self, device=0): return state.rng[there(device)].clone()
    def set_rng_state(self, new_state, device=0): state.rng[there(device)] = new_state.clone()


def guard(mode):
    state.guard = mode
    if mode not in (0, 'default'):
        warnings.warn('Synchronization debug mode is a prototype feature and does not yet detect all synchronizing '
                      'operations')


def numbers_of(tree): return tree_map(lambda x: x.numbers if isinstance(x, Card) else x, tree)


def install(count, kind='T4'):
    "From here on this process sees `count` pretended cards."
    state.count, state.kind, state.rng = count, kind, [torch.Generator().manual_seed(0).get_state()
                                                       for _ in range(count)]
    registration._setup_privateuseone_for_python_backend('card', backend_module=Backend())
    state.libraries = torch.library.Library('aten', 'IMPL'), torch.library.Library('_', 'IMPL', 'AutocastPrivateUse1')
    register(*state.libraries)
    capability, memory = KINDS[kind]
    facts = dict(is_available=lambda: count > 0, device_count=lambda: count, current_device=lambda: state.current,
                 get_device_name=lambda *_: f'a pretended {kind}',
                 get_device_capability=lambda *_: capability,
                 is_bf16_supported=lambda including_emulation=True: including_emulation or capability >= (8, 0),
                 get_device_properties=lambda device=0: SimpleNamespace(name=f'a pretended {kind}', total_memory=memory,
                                                                        major=capability[0], minor=capability[1],
                                                                        multi_processor_count=40, index=there(device)),
                 get_rng_state=lambda device=0: state.rng[there(device)].clone(), set_rng_state=lambda new,
                 device=0: state.rng.__setitem__(there(device), new.clone()),
                 synchronize=lambda *_: None, empty_cache=lambda: None, reset_peak_memory_stats=lambda: None,
                 get_arch_list=lambda: [], is_current_stream_capturing=lambda: False,
                 set_sync_debug_mode=guard, set_device=lambda device: setattr(state, 'current', there(device)))
    for name, fact in facts.items(): setattr(torch.cuda, name, fact)
    state.current = 0
    load, save, group = torch.load, torch.save, torch.distributed.init_process_group

    def load_here(file, map_location=None, **kwargs):
        device = torch.device(map_location) if isinstance(map_location, (str, torch.device)) else None
        if device is None or device.type != 'card': return load(file, map_location=map_location, **kwargs)
        return tree_map(lambda x: Card(x, there(device)) if isinstance(x, torch.Tensor) else x,
                        load(file, map_location='cpu', **kwargs))
    torch.load, torch.save = load_here, lambda tree, *args, **kwargs: save(numbers_of(tree), *args, **kwargs)
    torch.distributed.init_process_group = lambda backend=None, *args, **kwargs: group('gloo', *args, **kwargs)
    # `net.to('card')` keeps each parameter, which an optimiser may know already
    torch.__future__.set_swap_module_params_on_conversion(True)
    torch.Tensor.pin_memory = lambda self, device=None: self
    torch.Tensor.is_cuda = property(lambda self: self.device.type == 'card')
    sys.meta_path.insert(0, Modules())


# --- 'cuda' is read as 'card'

def as_card(source):
    "The same program, with 'card' for 'cuda' in strings and as a name in `dict(cuda=...)`; lines and comments stay in place."
    tokens, lines = list(tokenize.generate_tokens(io.StringIO(source).readline)), source.splitlines(keepends=True)
    for token, after, value in reversed(list(zip(tokens, tokens[1:] + tokens[-1:], tokens[2:] + tokens[-1:]*2))):
        (row, start), (end_row, end) = token.start, token.end
        if ('cuda' not in token.string or token.type == tokenize.COMMENT
                or token.type == tokenize.NAME
                and (token.string != 'cuda' or after.string != '=' or value.type == tokenize.NUMBER)):
            continue
        text = 'card' if token.type == tokenize.NAME else re.sub(r"""(?<![\w,.-])cuda(?=$|[:'")\]])""", 'card',
                                                                 token.string)
        before, behind = lines[row - 1][:start], lines[end_row - 1][end:]
        lines[row - 1:end_row] = (before + text + behind).splitlines(keepends=True)
    return ''.join(lines)


class Loader(SourceFileLoader):
    def get_code(self, fullname):
        return compile(as_card(self.get_data(self.path).decode()), self.path, 'exec', dont_inherit=True)


class Modules(MetaPathFinder):
    "Finds the modules of the course, and reads them so."
    def find_spec(self, fullname, path=None, target=None):
        if fullname.split('.')[0] != 'monet_course': return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and isinstance(spec.loader, SourceFileLoader): spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec
