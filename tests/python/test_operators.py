"""Gradients, opcheck and slow references of every operator, from Python."""
import math

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

ops = torch.ops.signalllm
F64 = dict(dtype=torch.float64)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def leaf(*shape):
    return torch.randn(*shape, **F64).requires_grad_()


def flat(f):
    """gradcheck wants tensors or tuples, operators return lists."""
    def g(*args):
        out = f(*args)
        return tuple(out) if isinstance(out, list) else out
    return g


CASES = {
    "wavedec": [
        (lambda x, a, b, mode=mode, dim=dim: ops.wavedec(x, a, b, 2, mode, dim),
         lambda taps=taps: (leaf(2, 7, 3), leaf(*taps), leaf(*taps)))
        for mode, dim, taps in [
            ("reflect", -2, (4,)), ("periodization", 1, (6,)), ("zero", 0, (4,)),
            ("smooth", -2, (3, 4)), ("antireflect", 1, (4,)), ("symmetric", -1, (4,)),
            ("constant", -2, (4,)), ("periodic", 1, (3, 4)), ("antisymmetric", -2, (4,)),
        ]
    ],
    "waverec": [
        (lambda a, d2, d1, g, h, mode=mode: ops.waverec([a, d2, d1], g, h, mode),
         lambda n=n, taps=taps: (*(leaf(2, k, 3) for k in n), leaf(*taps), leaf(*taps)))
        for mode, n, taps in [
            ("reflect", (4, 4, 6), (4,)), ("periodization", (3, 3, 5), (6,)),
            ("zero", (5, 4, 5), (3, 4)),
        ] + [
            (mode, (4, 4, 6), (4,)) for mode in
            ("constant", "symmetric", "periodic", "smooth", "antisymmetric", "antireflect")
        ]
    ],
    "swt": [
        (lambda x, a, b, n=n, dim=dim: ops.swt(x, a, b, n, dim),
         lambda taps=taps: (leaf(2, 7, 3), leaf(*taps), leaf(*taps)))
        for n, dim, taps in [(2, -2, (4,)), (3, 1, (3, 6)), (1, -1, (2,))]
    ],
    "iswt": [
        (lambda a, d2, d1, g, h, dim=dim: ops.iswt([a, d2, d1], g, h, dim),
         lambda taps=taps: (*(leaf(2, 5, 3) for _ in range(3)), leaf(*taps), leaf(*taps)))
        for dim, taps in [(-2, (4,)), (1, (3, 6)), (0, (2,))]
    ],
    "causal_filter": [
        (lambda x, w, p=p: ops.causal_filter(x, w, p), lambda k=k: (leaf(2, 6, 2), leaf(2, k)))
        for k, p in [(1, 1), (3, 2), (8, 1)]
    ],
    "causal_wavedec": [
        (lambda x, lo: ops.causal_wavedec(x, lo, 3), lambda t=t: (leaf(2, 6, 2), leaf(*t)))
        for t in [(3,), (2, 2)]
    ],
    "causal_wavelet_filter": [
        (ops.causal_wavelet_filter,
         lambda t=t, w=w: (leaf(2, 6, 2), leaf(*t), leaf(*t), leaf(*w)))
        for t, w in [((3,), (1, 5)), ((2, 2), (2, 4)), ((2,), (2, 2))]
    ],
    "fft_conv": [
        (lambda x, k, s, c=c: ops.fft_conv(x, k, s, c), lambda n=n: (leaf(2, 5, 2), leaf(n, 2), leaf(2)))
        for c, n in [(True, 5), (True, 3), (True, 8), (False, 5), (False, 2)]
    ] + [(lambda x, k: ops.fft_conv(x, k), lambda: (leaf(2, 5, 2), leaf(5, 2)))] + [
        (lambda x, k, s, c=c: ops.fft_conv(x, k, s, c), lambda n=n: (leaf(1, 19, 2), leaf(n, 2), leaf(2)))
        for c, n in [(True, 17), (True, 21), (False, 18)]  # by FFT
    ],
    "fourier_taps": [
        (lambda w, d, n=n, length=length: ops.fourier_taps(w, d, torch.tensor([1.0, 4.0]), length, n),
         lambda m=m: (leaf(2 * m + 1, 2), leaf(2)))
        for m, length, n in [(0, 5, 4), (2, 1, 3), (2, 9, 4), (3, 7, 16)]
    ],
    "attention_heads": [
        (lambda x, a=a: ops.attention_heads(x, 2, *a), lambda: (leaf(2, 3, 12),))
        for a in [(), (100.0, 3), (None, 0, 0.1), (100.0, 0, 0.1)]
    ],
    "layer_norm": [(lambda *a: ops.layer_norm(*a, 0.1), lambda: (leaf(2, 3, 4), leaf(4), leaf(4)))],
    "add_layer_norm": [
        (lambda *a: ops.add_layer_norm(*a, 0.1), lambda: (leaf(2, 3, 4), leaf(2, 3, 4), leaf(4), leaf(4)))
    ],
    "rms_norm": [(lambda x: ops.rms_norm(x, 0.1), lambda: (leaf(2, 3, 4),))],
    "squared_relu": [(ops.squared_relu, lambda: (leaf(2, 3, 4),))],
    "gated_fft_conv": [
        (ops.gated_fft_conv, lambda: (leaf(2, 5, 2), leaf(2, 5, 2), leaf(2, 5, 2), leaf(4, 2), leaf(2))),
        (lambda *a: ops.gated_fft_conv(*a), lambda: (leaf(2, 5, 2), leaf(2, 5, 2), leaf(2, 5, 2), leaf(5, 2))),
        (ops.gated_fft_conv, lambda: (*(leaf(1, 18, 2) for _ in range(3)), leaf(17, 2), leaf(2))),
    ],
    "tree_attention": [
        (lambda q, k, v, w=w: ops.tree_attention(q, k, v, w)[0],
         lambda n=n: tuple(leaf(1, 2, n, 3) for _ in range(3)))
        for n, w in [(1, 2), (5, 4), (11, 2), (13, 4)]
    ],
}
ALL = [pytest.param(f, make, id=f"{name}-{i}") for name, cases in CASES.items()
       for i, (f, make) in enumerate(cases)]


@pytest.mark.parametrize("f,make", ALL)
def test_gradients(f, make):
    assert gradcheck(flat(f), make(), atol=1e-6)


@pytest.mark.parametrize("f,make", ALL)
def test_second_gradients(f, make):
    assert gradgradcheck(flat(f), make(), atol=1e-6)


def x(*shape, **kw):
    return torch.randn(*shape, **kw)


def op_samples(requires_grad):
    def t(*shape):
        return torch.randn(*shape).requires_grad_(requires_grad)
    bank = lambda: (t(4), t(4))
    return {
        "wavedec": (t(2, 9, 3), *bank(), 2, "reflect", -2),
        "wavedec_backward": ([t(2, 4, 3), t(2, 4, 3), t(2, 6, 3)], t(2, 9, 3), *bank(), "reflect", -2),
        "wavedec_backward_input": ([t(2, 4, 3), t(2, 4, 3), t(2, 6, 3)], *bank(), 9, "reflect", -2),
        "wavedec_backward_filters": ([t(2, 4, 3), t(2, 4, 3), t(2, 6, 3)], t(2, 9, 3), *bank(), "reflect", -2),
        "waverec": ([t(2, 4, 3), t(2, 4, 3), t(2, 6, 3)], *bank(), "reflect", -2),
        "waverec_backward": (t(2, 10, 3), [t(2, 4, 3), t(2, 4, 3), t(2, 6, 3)], *bank(), "reflect", -2),
        "waverec_backward_input": (t(2, 10, 3), *bank(), [4, 4, 6], "reflect", -2),
        "waverec_backward_filters": (t(2, 10, 3), [t(2, 4, 3), t(2, 4, 3), t(2, 6, 3)], *bank(), "reflect", -2),
        "swt": (t(2, 9, 3), *bank(), 2, -2),
        "swt_backward_filters": ([t(2, 9, 3), t(2, 9, 3)], t(2, 9, 3), *bank(), -2),
        "iswt": ([t(2, 9, 3), t(2, 9, 3)], *bank(), -2),
        "causal_filter": (t(2, 9, 3), t(3, 3), 3),
        "causal_filter_backward": (t(3, 2, 9, 1), t(2, 9, 3), t(3, 3), 3),
        "causal_wavedec": (t(2, 9, 3), t(3), 2, -2),
        "causal_wavedec_backward_input": ([t(2, 9, 3), t(2, 9, 3)], t(3), -2),
        "causal_wavedec_backward_filter": ([t(2, 9, 3), t(2, 9, 3)], t(2, 9, 3), t(3), -2),
        "causal_wavedec_backward": ([t(2, 9, 3), t(2, 9, 3)], t(2, 9, 3), t(3), -2),
        "causal_wavelet_filter": (t(2, 9, 3), t(3), t(3), t(1, 4), -2),
        "causal_wavelet_filter_backward": (t(2, 9, 3), t(2, 9, 3), t(3), t(3), t(1, 4), -2),
        "causal_wavelet_filter_backward_input": (t(2, 9, 3), t(3), t(3), t(1, 4), -2),
        "causal_wavelet_filter_backward_filters": (t(2, 9, 3), t(2, 9, 3), t(3), t(3), t(1, 4), -2),
        "fft_conv": (t(2, 19, 3), t(17, 3), t(3), True),
        "fft_conv_backward": (t(2, 19, 3), t(2, 19, 3), t(17, 3), t(3), True),
        "attention_heads": (t(2, 9, 12), 2, 100.0, 3, 1e-6),
        "attention_heads_backward": (*(t(2, 2, 9, 2) for _ in range(3)), t(2, 9, 12), 100.0, 3, 1e-6),
        "fourier_taps": (t(5, 3), t(3), torch.tensor([1.0, 2.0, 4.0]), 11, 8),
        "fourier_taps_backward": (t(11, 3), t(5, 3), t(3), torch.tensor([1.0, 2.0, 4.0]), 8),
        "layer_norm": (t(2, 9, 3), t(3), t(3), 1e-6, torch.bfloat16),
        "layer_norm_backward": (t(2, 9, 3), t(2, 9, 3), t(3), 1e-6),
        "add_layer_norm": (t(2, 9, 3), t(2, 9, 3), t(3), t(3), 1e-6),
        "add_layer_norm_backward": (t(2, 9, 3), t(2, 9, 3), t(2, 9, 3), t(3), 1e-6),
        "rms_norm": (t(2, 9, 3), 1e-6),
        "rms_norm_backward": (t(2, 9, 3), t(2, 9, 3), 1e-6),
        "squared_relu": (t(2, 9, 3),),
        "squared_relu_backward": (t(2, 9, 3), t(2, 9, 3)),
        "gated_fft_conv": (*(t(2, 19, 3) for _ in range(3)), t(17, 3), t(3)),
        "gated_fft_conv_backward": (*(t(2, 19, 3) for _ in range(4)), t(17, 3), t(3)),
        "tree_attention": (t(2, 3, 9, 4), t(2, 3, 9, 4), t(2, 3, 9, 4), 2),
        "tree_attention_backward": (*(t(2, 3, 9, 4) for _ in range(4)),
                                    *ops.tree_attention(*(torch.zeros(2, 3, 9, 4),) * 3, 2), 2),
    }


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("name", list(op_samples(False)))
def test_opcheck(name, requires_grad):
    torch.library.opcheck(getattr(ops, name).default, op_samples(requires_grad)[name])


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("name,signals", [
    ("fft_conv", 1), ("fft_conv_backward", 2), ("gated_fft_conv", 3), ("gated_fft_conv_backward", 4)])
def test_opcheck_of_short_kernels(name, signals, requires_grad):
    def t(*shape):
        return torch.randn(*shape).requires_grad_(requires_grad)
    end = () if name.startswith("gated") else (True,)
    torch.library.opcheck(
        getattr(ops, name).default, (*(t(2, 9, 3) for _ in range(signals)), t(5, 3), t(3), *end))


def slow_conv(x, k, causal):
    n, length, c = x.shape
    y = torch.zeros_like(x)
    for t in range(length):
        for j in range(k.shape[0]):
            if t - j >= 0 or not causal:
                y[:, t] += k[j] * x[:, (t - j) % length]
    return y


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("length", [1, 2, 7, 16, 33])
@pytest.mark.parametrize("taps", [1, 4, 33, 50])
def test_fft_conv_against_the_sum(causal, length, taps):
    if not causal and taps > length:
        pytest.skip("a circular kernel is no longer than the signal")
    x, k, s = torch.randn(2, length, 3, **F64), torch.randn(taps, 3, **F64), torch.randn(3, **F64)
    expected = slow_conv(x, k, causal) + s * x
    assert torch.allclose(ops.fft_conv(x, k, s, causal), expected, atol=1e-12)
    g, h = torch.randn_like(x), torch.randn_like(x)
    if causal:
        gated = h * (slow_conv(g * x, k, True) + s * g * x)
        assert torch.allclose(ops.gated_fft_conv(x, g, h, k, s), gated, atol=1e-11)


@pytest.mark.parametrize("dtype,tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_fft_conv_in_lower_precision(dtype, tolerance):
    x, k = torch.randn(2, 128, 4).to(dtype), torch.randn(128, 4) / 8
    y = ops.fft_conv(x, k)
    expected = slow_conv(x.double(), k.double(), True)
    assert y.dtype == dtype
    assert float((y.double() - expected).norm() / expected.norm()) < tolerance


def slow_taps(terms, log_decay, frequency, length, n):
    """Phases reduced as whole numbers, everything else in float64."""
    count = terms.shape[0] // 2
    t = torch.arange(length)[:, None]
    s = frequency.long()
    taps = terms[:1].double().expand(length, -1).clone()
    for m in range(1, count + 1):
        angle = (m * s * t % (2 * n)).double() * (torch.pi / n)
        taps += terms[m].double() * angle.cos() + terms[count + m].double() * angle.sin()
    return taps * torch.exp(-log_decay.double().exp() * t / n)


@pytest.mark.parametrize("dtype,tolerance", [
    (torch.float64, 1e-12), (torch.float32, 1e-6), (torch.bfloat16, 1e-6)])
@pytest.mark.parametrize("length,n", [(1, 1), (2, 5), (37, 16), (1000, 1000), (65536, 65536)])
def test_fourier_taps_against_the_sum(dtype, tolerance, length, n):
    channels, count = 13, 16
    terms = (torch.randn(2 * count + 1, channels) / 10).to(dtype)
    log_decay = torch.linspace(1.4, 12, channels).to(dtype)
    frequency = (2.0 ** torch.arange(channels)).to(dtype)
    taps = ops.fourier_taps(terms, log_decay, frequency, length, n)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    assert taps.dtype == wide and taps.shape == (length, channels) and taps.is_contiguous()
    expected = slow_taps(terms, log_decay, frequency, length, n)
    assert float((taps - expected).abs().max() / expected.abs().max()) < tolerance
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ops.fourier_taps(terms, log_decay, frequency, length, n), taps)


@pytest.mark.parametrize("length", [1, 50, 4097])
def test_fourier_taps_gradients_in_float32(length):
    """Against autograd through the sum in float64, a sum of many terms."""
    frequency = 2.0 ** torch.arange(5)
    make = lambda: ((torch.randn(9, 5) / 4).requires_grad_(), torch.linspace(1, 5, 5).requires_grad_())
    a, b = make()
    g = torch.randn(length, 5)
    got = torch.autograd.grad(ops.fourier_taps(a, b, frequency, length, 512), (a, b), g)
    taps = slow_taps(a.double(), b.double(), frequency, length, 512)
    for x, y in zip(got, torch.autograd.grad(taps, (a, b), g.double())):
        assert float((x - y).norm() / (y.norm() + 1e-9)) < 2e-6


def test_fourier_taps_keep_only_their_parameters():
    a, b, s = torch.randn(33, 64).requires_grad_(), torch.ones(64).requires_grad_(), torch.ones(64)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(
            lambda t: kept.append(t.numel()) or t, lambda t: t):
        ops.fourier_taps(a, b, s, 5000, 256).sum().backward()
    assert sum(kept) <= 33 * 64 + 2 * 64


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("name,call", [
    ("wavedec", lambda x, lo, hi: ops.wavedec(x, lo, hi, 3)),
    ("waverec", lambda x, lo, hi: ops.waverec([x, x], lo, hi)),
    ("swt", lambda x, lo, hi: ops.swt(x, lo, hi, 3)),
    ("iswt", lambda x, lo, hi: ops.iswt([x, x], lo, hi)),
    ("causal_wavedec", lambda x, lo, hi: ops.causal_wavedec(x, lo, 3)),
    ("causal_wavelet_filter",
     lambda x, lo, hi: ops.causal_wavelet_filter(x, lo, hi, torch.ones(1, 5))),
])
def test_what_is_kept_for_the_backward(name, call, learned):
    """The filters; beside learned ones the inputs, and nothing made of them."""
    x = torch.randn(2, 500, 8, requires_grad=True)
    lo, hi = (torch.randn(4, requires_grad=learned) for _ in range(2))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(
            lambda t: kept.append(t) or t, lambda t: t):
        out = call(x, lo, hi)
    large = [t for t in kept if t.numel() >= 100]
    inputs = 2 if name in ("waverec", "iswt") else 1
    assert len(large) == (inputs if learned else 0)
    assert all(t.data_ptr() == x.data_ptr() for t in large)
    out = out if isinstance(out, list) else [out]
    sum(t.sum() for t in out).backward()
    assert x.grad is not None and (lo.grad is not None) == learned


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("taps", [1, 5, 40])
@pytest.mark.parametrize("shape", [(0, 30, 3), (2, 30, 0), (0, 30, 0)])
@pytest.mark.parametrize("gated", [False, True])
def test_fft_conv_of_nothing(gated, shape, taps, device):
    """No batch and no channels: empty results, zero gradients, twice."""
    kw = dict(device=device, requires_grad=True, **F64)
    signals = [torch.randn(*shape, **kw) for _ in range(3 if gated else 1)]
    k, s = torch.randn(taps, shape[2], **kw), torch.randn(shape[2], **kw)
    op = ops.gated_fft_conv if gated else ops.fft_conv
    y = op(*signals, k, s)
    assert y.shape == shape and y.device.type == device
    leaves = [*signals, k, s]
    grads = torch.autograd.grad(y.sum(), leaves, create_graph=True)
    assert [g.shape for g in grads] == [t.shape for t in leaves]
    if device == "cpu":
        assert all(not g.any() for g in grads)
        twice = torch.autograd.grad(sum(g.sum() for g in grads), leaves, allow_unused=True)
        assert all(g is None or (g.shape == t.shape and not g.any()) for g, t in zip(twice, leaves))
    if not gated and taps <= 30:
        assert op(*signals, k, s, False).shape == shape


def test_short_kernels_are_exactly_causal():
    """NaN, infinity and a loud future do not reach back through 16 taps."""
    k, s = torch.randn(16, 4), torch.randn(4)
    x = torch.randn(2, 300, 4)
    for future in [float("nan"), float("inf"), 1e30]:
        z = x.clone()
        z[:, 200:] = future
        z.requires_grad_()
        y = ops.fft_conv(z, k, s)
        assert torch.equal(y[:, :200], ops.fft_conv(x, k, s)[:, :200])
        assert torch.equal(ops.gated_fft_conv(z, z, torch.ones_like(z), k)[:, :200],
                           ops.gated_fft_conv(x, x, torch.ones_like(x), k)[:, :200])
        g = torch.randn_like(x)
        g[:, 200:] = 0
        grad, = torch.autograd.grad(y, z, g)
        assert not grad[:, 200:].any() and grad[:, :200].isfinite().all()


@pytest.mark.parametrize("loudness", [1, 1e3, 1e6])
@pytest.mark.parametrize("length,taps", [(100, 17), (1000, 1000), (4096, 300)])
def test_rounding_of_the_fft_is_within_the_documented_bound(length, taps, loudness):
    x, k = torch.randn(2, length, 3), torch.randn(taps, 3)
    x[:, length // 2:] *= loudness
    error = (ops.fft_conv(x, k).double() - ops.fft_conv(x.double(), k.double())).abs().amax(1)
    bound = 6e-8 * math.log2(length) * k.norm(dim=0) * x.norm(dim=1)
    assert (error <= bound).all()


def test_gradients_of_the_direct_sum_are_those_of_the_fft():
    """The same kernel with zeros behind it goes the other way."""
    for causal in [True, False]:
        x, s = leaf(2, 40, 3), leaf(3)
        k = leaf(16, 3)
        longer = torch.cat([k, torch.zeros(5, 3, **F64)])
        g = torch.randn(2, 40, 3, **F64)
        a, b = (torch.autograd.grad(ops.fft_conv(x, h, s, causal), [x, k, s], g) for h in (k, longer))
        for p, q in zip(a, b):
            assert torch.allclose(p, q, atol=1e-12)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("level", [62, 63, 64, 10**6, 2**62])
def test_too_many_levels_are_refused_everywhere(level, device):
    signal, f = torch.randn(2, 9, 3, device=device), torch.randn(4, device=device)
    for call in [lambda: ops.wavedec(signal, f, f, level, "zero"), lambda: ops.swt(signal, f, f, level),
                 lambda: ops.causal_wavedec(signal, f, level)]:
        with pytest.raises(RuntimeError, match=rf"level {level} is not allowed; 0 to 61"):
            call()
    if level > 64:
        return
    few = torch.randn(2, 2, 3, device=device)
    many = [few] * (level + 1)
    for call in [lambda: ops.waverec(many, f, f, "zero"), lambda: ops.iswt(many, f, f),
                 lambda: ops.waverec_backward_input(few, f, f, [2] * (level + 1), "zero", -2)]:
        with pytest.raises(RuntimeError, match=rf"of {level} levels; allowed are 0 to 61"):
            call()
    if device == "cpu":
        with pytest.raises(RuntimeError, match=r"allowed are 0 to 61|0 to 61"):
            ops.wavedec_backward_input(many, f, f, 2, "zero", -2)


def test_the_most_levels():
    signal, f = torch.randn(1, 9, 2), torch.randn(4) / 4
    coeffs = ops.wavedec(signal, f, f, 61, "zero")
    assert len(coeffs) == 62 and all(c.isfinite().all() for c in coeffs)
    assert [c.shape for c in coeffs] == [
        c.shape for c in ops.wavedec(signal.to("meta"), f.to("meta"), f.to("meta"), 61, "zero")]
    assert len(ops.swt(signal, f, f, 61)) == 62
    assert len(ops.causal_wavedec(signal, f, 61)) == 62


def test_sparse_inputs_are_refused():
    dense, f, k = torch.randn(2, 9, 3), torch.randn(4), torch.randn(9, 3)
    thin, four = dense.to_sparse(), torch.randn(1, 2, 9, 4)
    for call, name in [
        (lambda: ops.wavedec(thin, f, f, 1), "wavedec: input is Sparse"),
        (lambda: ops.wavedec(dense, f.to_sparse(), f, 1), "wavedec: dec_lo is Sparse"),
        (lambda: ops.waverec([dense, thin], f, f), r"waverec: coeffs\[1\] is Sparse"),
        (lambda: ops.swt(thin, f, f, 1), "swt: input is Sparse"),
        (lambda: ops.iswt([thin, dense], f, f), r"iswt: coeffs\[0\] is Sparse"),
        (lambda: ops.causal_wavedec(thin, f, 1), "causal_wavedec: input is Sparse"),
        (lambda: ops.causal_wavelet_filter(thin, f, f, torch.ones(1, 3)), "input is Sparse"),
        (lambda: ops.causal_wavelet_filter(dense, f, f, torch.ones(1, 3).to_sparse()), "weight is Sparse"),
        (lambda: ops.causal_filter(thin, torch.ones(3, 3)), "causal_filter: input is Sparse"),
        (lambda: ops.fft_conv(thin, k), "fft_conv: input is Sparse"),
        (lambda: ops.fft_conv(dense, k.to_sparse()), "fft_conv: kernel is Sparse"),
        (lambda: ops.gated_fft_conv(dense, thin, dense, k), "gate_in is Sparse"),
        (lambda: ops.fourier_taps(k.to_sparse(), k[0], k[0], 4, 4), "fourier_taps: terms is Sparse"),
        (lambda: ops.tree_attention(four, four.to_sparse(), four, 2), "tree_attention: key is Sparse"),
        (lambda: ops.layer_norm(thin, k[0], k[0], 0.1), "layer_norm: input is Sparse"),
        (lambda: ops.add_layer_norm(dense, thin, k[0], k[0], 0.1), "add_layer_norm: branch is Sparse"),
        (lambda: ops.rms_norm(thin, 0.1), "rms_norm: input is Sparse"),
        (lambda: ops.squared_relu(thin), "squared_relu: input is Sparse"),
    ]:
        with pytest.raises(RuntimeError, match=name + r".*to_dense\(\)"):
            call()


def test_two_dtypes_blame_the_coefficient():
    a, f = torch.randn(2, 9, 3), torch.randn(4)
    for op in [ops.iswt, ops.waverec]:
        for coeffs in [[a.double(), a], [a, a.double()]]:
            with pytest.raises(RuntimeError, match=r"coeffs\[1\] is (Float|Double)"):
                op(coeffs, f, f)


def slow_causal(x, f, dilation):
    y = torch.zeros_like(x)
    for t in range(x.shape[1]):
        for k in range(f.shape[-1]):
            if t - dilation * k >= 0:
                y[:, t] += f[..., k] * x[:, t - dilation * k]
    return y


@pytest.mark.parametrize("taps", [(1,), (2,), (3,), (5,), (3, 4)])
@pytest.mark.parametrize("length", [1, 2, 9, 20])
def test_causal_bank_against_the_sum(length, taps):
    x, lo, hi = torch.randn(2, length, 3, **F64), torch.randn(*taps, **F64), torch.randn(*taps, **F64)
    w = torch.randn(3, 5, **F64)
    coeffs = ops.causal_wavedec(x, lo, 3)
    a, y = x, w[:, 0] * x
    for j in range(3):
        following = slow_causal(a, lo, 2**j)
        assert torch.allclose(coeffs[3 - j], a - following, atol=1e-12)
        y = y + w[:, j + 1] * slow_causal(a, hi, 2**j)
        a = following
    assert torch.allclose(coeffs[0], a, atol=1e-12)
    assert torch.allclose(sum(coeffs), x, atol=1e-12)
    y = y + w[:, 4] * a
    assert torch.allclose(ops.causal_wavelet_filter(x, lo, hi, w), y, atol=1e-12)


def test_causality():
    """Outputs up to t do not depend on inputs after t: exactly."""
    x = torch.randn(2, 33, 4)
    z = x.clone()
    z[:, 20:] += 1
    lo, hi, w = torch.randn(4, 3), torch.randn(4, 3), torch.randn(4, 6)
    for a, b in zip(ops.causal_wavedec(x, lo, 4), ops.causal_wavedec(z, lo, 4)):
        assert torch.equal(a[:, :20], b[:, :20])
    a, b = (ops.causal_wavelet_filter(s, lo, hi, w) for s in (x, z))
    assert torch.equal(a[:, :20], b[:, :20])
    for dtype, tolerance in [(torch.float64, 1e-12), (torch.float32, 1e-5)]:
        k = torch.randn(33, 4, dtype=dtype) / 6
        a, b = (ops.fft_conv(s.to(dtype), k) for s in (x, z))
        assert float((a - b)[:, :20].abs().max()) <= tolerance * float(z.abs().max())


def test_compile_fullgraph():
    f = torch.compile(
        lambda t, a, b: sum(c.pow(2).sum() for c in ops.wavedec(t, a, b, 2, "reflect", -2)),
        backend="aot_eager", fullgraph=True)
    a, b = torch.randn(4), torch.randn(4)
    t = torch.randn(2, 9, 3, requires_grad=True)
    f(t, a, b).backward()
    u = t.detach().clone().requires_grad_()
    sum(c.pow(2).sum() for c in ops.wavedec(u, a, b, 2, "reflect", -2)).backward()
    assert torch.allclose(t.grad, u.grad, atol=1e-5)


@pytest.mark.parametrize("call,message", [
    (lambda: ops.wavedec(x(2, 9, 3), x(3), x(3), 1), r"dec_lo has 3 taps; an even number"),
    (lambda: ops.wavedec(x(2, 9, 3), x(4), x(4), -2), r"level -2 is not allowed"),
    (lambda: ops.wavedec(x(2, 9, 3), x(4), x(4), 1, "reflekt"), r"'reflekt' is unknown; did you mean 'reflect'"),
    (lambda: ops.wavedec(x(2, 0, 3), x(4), x(4), 1), r"length 0"),
    (lambda: ops.wavedec(x(2, 1, 3), x(4), x(4), 1, "reflect"), r"length 1 \(level 1\)"),
    (lambda: ops.wavedec(x(2, 9, 3), x(4), x(4), 1, "zero", 5), r"dim 5"),
    (lambda: ops.wavedec(x(9), x(4), x(4), 1), r"needs dim=-1"),
    (lambda: ops.wavedec(torch.ones(2, 9, 3, dtype=torch.int64), x(4), x(4), 1), r"floating point"),
    (lambda: ops.wavedec(x(2, 9, 3), x(2, 4), x(2, 4), 1), r"\[channels, taps\] with the 3"),
    (lambda: ops.wavedec(x(2, 9, 3), x(4).double(), x(4).double(), 1), r"dtype Double"),
    (lambda: ops.waverec([x(2, 5, 3), x(2, 3, 3)], x(4), x(4)), r"approximation has 5"),
    (lambda: ops.waverec([], x(4), x(4)), r"coeffs is empty"),
    (lambda: ops.swt(x(2, 9, 3), x(4), x(4), -2), r"swt: level -2 is not allowed"),
    (lambda: ops.swt(x(2, 9, 3), x(5), x(5), 1), r"swt: dec_lo has 5 taps; an even number"),
    (lambda: ops.iswt([], x(4), x(4)), r"iswt: coeffs is empty"),
    (lambda: ops.iswt([x(2, 9, 3), x(2, 8, 3)], x(4), x(4)), r"coeffs\[1\] must be like coeffs\[0\].*got Float \[2, 8, 3\]"),
    (lambda: ops.causal_filter(x(2, 9, 3), x(2, 3)), r"taps must be \[C, K\] with the input's 3"),
    (lambda: ops.causal_filter(x(2, 9, 3), x(3, 3), 2), r"parts is 2; it must be at least 1 and divide the 3"),
    (lambda: ops.causal_wavedec(x(2, 9, 3), x(3), -1), r"level -1 is not allowed"),
    (lambda: ops.causal_wavelet_filter(x(2, 9, 3), x(3), x(3), x(2, 4)), r"\[channels or 1, J \+ 2\]"),
    (lambda: ops.fft_conv(x(2, 9, 3), x(9, 4)), r"kernel must be \[K, C\]"),
    (lambda: ops.fft_conv(x(2, 9, 3), x(10, 3), None, False), r"circular kernel"),
    (lambda: ops.fourier_taps(x(4, 3), x(3), x(3), 9, 8), r"terms must be .* \[2M \+ 1, C\]"),
    (lambda: ops.fourier_taps(x(5, 3), x(2), x(3), 9, 8), r"log_decay must be \[C\] with the 3"),
    (lambda: ops.fourier_taps(x(5, 3), x(3), x(3), 0, 8), r"length is 0"),
    (lambda: ops.fourier_taps(x(5, 3), x(3), x(3), 9, 0), r"period is 0"),
    (lambda: ops.gated_fft_conv(x(2, 9, 3), x(2, 9, 2), x(2, 9, 3), x(9, 3)), r"gate_in must be like"),
    (lambda: ops.tree_attention(x(2, 9, 3), x(2, 9, 3), x(2, 9, 3), 4), r"\[batch, heads, length, size\]"),
    (lambda: ops.tree_attention(x(1, 2, 9, 3), x(1, 2, 8, 3), x(1, 2, 9, 3), 4), r"\[1, 2, 8, 3\]"),
    (lambda: ops.tree_attention(x(1, 2, 9, 3), x(1, 2, 9, 3), x(1, 2, 9, 3), 3), r"window is 3, it must be even"),
])
def test_wrong_input(call, message):
    with pytest.raises(RuntimeError, match=message):
        call()


# Signal arguments take the type; filters, kernels and read-outs stay float32.
HALF_CASES = {
    "wavedec": (lambda s, f: ops.wavedec(s(2, 40, 3), f(4), f(4), 3, "reflect")),
    "waverec": (lambda s, f: ops.waverec([s(2, 6, 3), s(2, 6, 3), s(2, 10, 3)], f(4), f(4))),
    "swt": (lambda s, f: ops.swt(s(2, 19, 3), f(4), f(4), 2)),
    "iswt": (lambda s, f: ops.iswt([s(2, 19, 3), s(2, 19, 3)], f(3, 4), f(3, 4))),
    "causal_filter": (lambda s, f: ops.causal_filter(s(2, 19, 6), f(6, 3), 2)),
    "causal_wavedec": (lambda s, f: ops.causal_wavedec(s(2, 19, 3), f(3), 3)),
    "causal_wavelet_filter": (
        lambda s, f: ops.causal_wavelet_filter(s(2, 19, 3), f(3, 2), f(3, 2), f(3, 5))),
    "fft_conv": (lambda s, f: ops.fft_conv(s(2, 19, 3), f(19, 3), f(3))),
    "gated_fft_conv": (
        lambda s, f: ops.gated_fft_conv(s(2, 19, 3), s(2, 19, 3), s(2, 19, 3), f(19, 3), f(3))),
}


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("dtype,tolerance", [(torch.bfloat16, 3e-2), (torch.float16, 4e-3)])
@pytest.mark.parametrize("name", list(HALF_CASES))
def test_half_precision_beside_float32_filters(name, dtype, tolerance, autocast):
    """Values and gradients, also under autocast, which must not touch them."""
    def run(signal_type, filter_type):
        torch.manual_seed(0)
        leaves = []

        def leaf(shape, kind):
            # Rounded to the half type first, so that all runs see the same.
            t = (torch.randn(*shape, **F64) / 2).to(dtype).to(kind).requires_grad_()
            leaves.append(t)
            return t
        out = HALF_CASES[name](lambda *n: leaf(n, signal_type), lambda *n: leaf(n, filter_type))
        out = out if isinstance(out, list) else [out]
        loss = sum((t.to(filter_type) ** 2).sum() for t in out)
        return out, torch.autograd.grad(loss, leaves), leaves

    expected, expected_grads, _ = run(torch.float64, torch.float64)
    with torch.autocast("cpu", dtype=dtype, enabled=autocast):
        actual, grads, leaves = run(dtype, torch.float32)
    for a, b in zip(actual, expected):
        assert a.dtype == dtype
        assert float((a.double() - b).norm() / b.norm()) < tolerance
    for g, leaf, b in zip(grads, leaves, expected_grads):
        assert g.dtype == leaf.dtype
        assert float((g.double() - b).norm() / b.norm()) < tolerance
