"""wavedec and waverec mean what PyWavelets' functions of that name mean."""
import itertools
import warnings

import numpy as np
import pytest
import pywt
import torch

ops = torch.ops.signalllm
MODES = [
    "zero", "constant", "symmetric", "periodic", "smooth", "periodization",
    "reflect", "antisymmetric", "antireflect",
]
WAVELETS = pywt.wavelist(kind="discrete")
# How closely a wavelet's own table reconstructs; where PyWavelets' own round
# trip is worse (levels beyond the useful ones), three times that.
ROUND_TRIP = {"dmey": 5e-3, "sym20": 3e-11}

pytestmark = pytest.mark.filterwarnings("ignore:Level value")


def filters(name, kind, dtype=torch.float64):
    w = pywt.Wavelet(name)
    taps = (w.dec_lo, w.dec_hi) if kind == "dec" else (w.rec_lo, w.rec_hi)
    return [torch.tensor(t, dtype=dtype) for t in taps]


def signal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def close(ours, theirs, tolerance=1e-12, scale=1.0):
    assert ours.shape == theirs.shape
    scale = max(scale, float(np.abs(theirs).max()))
    assert float(np.abs(ours.numpy() - theirs).max()) <= tolerance * scale


def extended_scale(x, name, mode, level):
    """The largest value that any level's filter sees: extrapolating modes
    raise a short signal's far beyond its own."""
    taps, scale = pywt.Wavelet(name).dec_len, float(np.abs(x).max())
    for _ in range(level if mode in ("smooth", "antireflect") else 0):
        for row in x.transpose(0, 2, 1).reshape(-1, x.shape[1]):
            scale = max(scale, float(np.abs(pywt.pad(row, taps, mode)).max()))
        x = pywt.dwt(x, name, mode=mode, axis=1)[0]
    return scale


def raises_for(mode, length, taps, level):
    """Where an extension does not exist: reflecting a single value."""
    for _ in range(level):
        if length == 1 and mode in ("reflect", "antireflect"):
            return True
        length = pywt.dwt_coeff_len(length, taps, mode)
    return False


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", WAVELETS)
def test_wavedec_and_waverec(name, mode):
    dec, rec = filters(name, "dec"), filters(name, "rec")
    taps = len(dec[0])
    lengths = [1, 2, 3, 5, 8, 13, 21, 34, 64, 70, 129]
    for length, level in itertools.product(lengths, (1, 2, 4)):
        x = signal((2, length, 3), length)
        tx = torch.from_numpy(x)
        if raises_for(mode, length, taps, level):
            with pytest.raises(RuntimeError, match="length 1"):
                ops.wavedec(tx, *dec, level, mode)
            continue
        ours = ops.wavedec(tx, *dec, level, mode)
        theirs = pywt.wavedec(x, name, mode=mode, level=level, axis=1)
        assert len(ours) == len(theirs)
        scale = extended_scale(x, name, mode, level)
        for a, b in zip(ours, theirs):
            close(a, b, scale=scale)
        y = ops.waverec(ours, *rec, mode)
        back = pywt.waverec([c.numpy() for c in ours], name, mode=mode, axis=1)
        close(y, back, scale=max(float(c.abs().max()) for c in ours))
        error = float((y[:, :length] - tx).abs().max())
        allowed = max(ROUND_TRIP.get(name, 1e-12), 3 * np.abs(back[:, :length] - x).max())
        assert error <= allowed, (length, level)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["haar", "db4", "bior2.4", "sym20", "coif17"])
def test_every_short_length(name, mode):
    dec = filters(name, "dec")
    for length in range(1, 71):
        if raises_for(mode, length, len(dec[0]), 1):
            continue
        x = signal((1, length, 1), length)
        for a, b in zip(
            ops.wavedec(torch.from_numpy(x), *dec, 1, mode),
            pywt.dwt(x, name, mode=mode, axis=1),
        ):
            close(a, b, scale=extended_scale(x, name, mode, 1))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [
    "haar", "db2", "db3", "db4", "sym5", "db6", "db8", "db10", "bior2.4", "coif5"])
def test_every_short_length_in_vectors(name, mode):
    """16 and more channels, both dtypes: the kernels that work on rows."""
    dec, rec = filters(name, "dec"), filters(name, "rec")
    taps = len(dec[0])
    norm = max(float(f.abs().sum()) for f in dec)
    for length in range(1, 71):
        if raises_for(mode, length, taps, 2):
            continue
        x = signal((2, length, (16, 17, 40)[length % 3]), length)
        scale = extended_scale(x, name, mode, 2)
        for dtype in (torch.float64, torch.float32):
            tx = torch.from_numpy(x).to(dtype)
            values = tx.double().numpy()
            eps = torch.finfo(dtype).eps
            ours = ops.wavedec(tx, *[f.to(dtype) for f in dec], 2, mode)
            theirs = pywt.wavedec(values, name, mode=mode, level=2, axis=1)
            # Every level rounds sums of `taps` terms of the extended signal.
            bound = 4 * taps * eps * norm ** 2
            for a, b in zip(ours, theirs):
                close(a.double(), b, bound, scale)
            y = ops.waverec(ours, *[f.to(dtype) for f in rec], mode)
            c = [t.double().numpy() for t in ours]
            close(y.double(), pywt.waverec(c, name, mode=mode, axis=1), bound,
                  max(float(np.abs(t).max()) for t in c))


@pytest.mark.parametrize("shape,dim", [((37,), -1), ((4, 37), 0), ((4, 37), 1),
                                       ((2, 5, 37), -1), ((2, 37, 5, 3), 1),
                                       ((37, 2, 5), 0)])
@pytest.mark.parametrize("mode", ["reflect", "periodization", "antireflect"])
def test_every_axis(shape, dim, mode):
    x = signal(shape)
    dec, rec = filters("db3", "dec"), filters("db3", "rec")
    ours = ops.wavedec(torch.from_numpy(x), *dec, 3, mode, dim)
    for a, b in zip(ours, pywt.wavedec(x, "db3", mode=mode, level=3, axis=dim)):
        close(a, b)
    y = ops.waverec(ours, *rec, mode, dim)
    close(y.narrow(dim, 0, shape[dim]), x)


def test_strided_input():
    x = signal((3, 40, 6))
    t = torch.from_numpy(x).transpose(0, 2)[:, ::2]
    for a, b in zip(
        ops.wavedec(t, *filters("db2", "dec"), 2, "symmetric"),
        pywt.wavedec(t.numpy(), "db2", mode="symmetric", level=2, axis=1),
    ):
        close(a, b)


def test_default_level_is_the_largest_useful_one():
    for length, name in itertools.product((1, 7, 8, 100, 1000), ("haar", "db4", "sym20")):
        x = signal((1, length, 2))
        ours = ops.wavedec(torch.from_numpy(x), *filters(name, "dec"), -1, "symmetric")
        theirs = pywt.wavedec(x, name, mode="symmetric", axis=1)
        assert [c.shape[1] for c in ours] == [c.shape[1] for c in theirs]


def test_level_zero_is_a_copy():
    x = torch.randn(2, 5, 3)
    (a,) = ops.wavedec(x, *filters("db2", "dec", torch.float32), 0)
    assert torch.equal(a, x) and a.data_ptr() != x.data_ptr()
    y = ops.waverec([a], *filters("db2", "rec", torch.float32))
    assert torch.equal(y, x) and y.data_ptr() != a.data_ptr()


@pytest.mark.parametrize("dtype,tolerance", [(torch.float32, 2e-6), (torch.bfloat16, 2e-2),
                                             (torch.float16, 2e-3)])
def test_lower_precision(dtype, tolerance):
    x = torch.from_numpy(signal((2, 61, 4))).to(dtype)
    taps = [f.to(torch.float32) for f in filters("db4", "dec")]
    ours = ops.wavedec(x, *taps, 3, "symmetric")
    theirs = pywt.wavedec(x.double().numpy(), "db4", mode="symmetric", level=3, axis=1)
    for a, b in zip(ours, theirs):
        assert a.dtype == dtype
        close(a.double(), b, tolerance)
    y = ops.waverec(ours, *[f.float() for f in filters("db4", "rec")], "symmetric")
    assert y.dtype == dtype
    close(y[:, :61].double(), x.double().numpy(), 3 * tolerance)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("length", [2, 9, 32])
def test_backward_is_the_transpose(mode, length):
    """<W x, y> = <x, W' y>, both directions."""
    dec, rec = filters("db4", "dec"), filters("db4", "rec")
    g = torch.Generator().manual_seed(0)
    if raises_for(mode, length, 8, 3):
        pytest.skip("no such transform")
    x = torch.randn(2, length, 3, dtype=torch.float64, generator=g, requires_grad=True)
    coeffs = ops.wavedec(x, *dec, 3, mode)
    y = [torch.randn(c.shape, dtype=c.dtype, generator=g) for c in coeffs]
    inner = sum((a * b).sum() for a, b in zip(coeffs, y))
    (gx,) = torch.autograd.grad(inner, x)
    assert abs(float((gx * x).sum() - inner)) < 1e-10 * (1 + abs(float(inner)))
    c = [t.clone().requires_grad_() for t in y]
    z = ops.waverec(c, *rec, mode)
    v = torch.randn(z.shape, dtype=z.dtype, generator=g)
    inner = (z * v).sum()
    grads = torch.autograd.grad(inner, c)
    other = sum((a * b).sum() for a, b in zip(grads, c))
    assert abs(float(other - inner)) < 1e-10 * (1 + abs(float(inner)))


@pytest.mark.parametrize("name", WAVELETS)
def test_swt_and_iswt(name):
    dec, rec = filters(name, "dec"), filters(name, "rec")
    for length, level in [(8, 1), (8, 3), (16, 2), (64, 3), (96, 5), (128, 4)]:
        x = signal((2, length, 3), length)
        ours = ops.swt(torch.from_numpy(x), *dec, level)
        theirs = pywt.swt(x, name, level=level, axis=1, trim_approx=True)
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            close(a, b)
        y = ops.iswt(ours, *rec)
        back = pywt.iswt(theirs, name, axis=1)
        close(y, back, scale=max(float(c.abs().max()) for c in ours))


@pytest.mark.parametrize("name", ["haar", "db4", "bior2.4", "sym8", "coif5", "rbio3.3"])
def test_swt_reconstructs_any_length(name):
    """Beyond PyWavelets, which wants a multiple of 2**level."""
    dec, rec = filters(name, "dec"), filters(name, "rec")
    for length, level in itertools.product([1, 2, 3, 5, 17, 31, 50, 70], [0, 1, 3, 6]):
        x = signal((2, length, 3), length)
        coeffs = ops.swt(torch.from_numpy(x), *dec, level)
        assert all(c.shape == x.shape for c in coeffs)
        close(ops.iswt(coeffs, *rec), x, scale=max(float(c.abs().max()) for c in coeffs))


def test_swt_of_every_axis_and_dtype():
    x = signal((16, 5, 8))
    dec, rec = filters("db2", "dec"), filters("db2", "rec")
    for dim in (0, 2, -1, -3):
        theirs = pywt.swt(x, "db2", level=2, axis=dim, trim_approx=True)
        ours = ops.swt(torch.from_numpy(x), *dec, 2, dim)
        for a, b in zip(ours, theirs):
            close(a, b)
        close(ops.iswt(ours, *rec, dim), x)
    for dtype, tolerance in [(torch.float32, 2e-6), (torch.bfloat16, 2e-2), (torch.float16, 2e-3)]:
        t = torch.from_numpy(x).to(dtype)
        theirs = pywt.swt(t.double().numpy(), "db2", level=3, axis=0, trim_approx=True)
        ours = ops.swt(t, *[f.float() for f in dec], 3, 0)
        for a, b in zip(ours, theirs):
            assert a.dtype == dtype
            close(a.double(), b, tolerance)
        assert len(ops.swt(t, *[f.float() for f in dec], -1, 0)) == 1 + pywt.dwt_max_level(16, 4)
