"""Other ways to the same transforms, for wavelets.py to measure against."""
import ptwt
import pywt
import torch

try:
    import torchwavelets
except ImportError:  # not among the pinned packages
    torchwavelets = None


def slices(wavelet, level):
    """wavedec and waverec (reflect) as sums of strided slices, no convolution:
    what torch.compile makes the fastest code of."""
    taps = wavelet.dec_len
    lo, hi, rlo, rhi = (torch.tensor(f).tolist() for f in (
        wavelet.dec_lo, wavelet.dec_hi, wavelet.rec_lo, wavelet.rec_hi))

    def analysis(x):
        n = x.size(1)
        out = (n + taps - 1) // 2
        index = torch.arange(-(taps - 2), 2 * out).abs()
        index = torch.where(index >= n, 2 * n - 2 - index, index)
        e = torch.cat([x[:, index[:taps - 2]], x, x[:, index[taps - 2 + n:]]], 1)
        a = d = 0
        for j in range(taps):
            s = e[:, taps - 1 - j:taps - 1 - j + 2 * out - 1:2]
            a, d = a + lo[j] * s, d + hi[j] * s
        return a, d

    def wavedec(x):
        out = []
        for _ in range(level):
            x, d = analysis(x)
            out.append(d)
        return [x] + out[::-1]

    def waverec(coeffs):
        a = coeffs[0]
        for d in coeffs[1:]:
            a = a[:, :d.size(1)]
            m = d.size(1) - taps // 2 + 1
            rows = []
            for p in (0, 1):
                y = 0
                for j in range(taps // 2):
                    k = taps // 2 - 1 - j
                    y = y + rlo[2 * j + p] * a[:, k:k + m]
                    y = y + rhi[2 * j + p] * d[:, k:k + m]
                rows.append(y)
            a = torch.stack(rows, 2).flatten(1, 2)
        return a

    return wavedec, waverec


def peers(x, wavelet, mode, level, grads, expected, compiled):
    """name -> function. Forward is wavedec; `grads` are its outputs' for the
    backward. Every result is first compared with `expected`."""
    out = {}
    with_grad = x.clone().requires_grad_()

    def no_grad(f):
        def run():
            with torch.no_grad():
                return f()
        return run

    def backward(f):
        def run():
            torch.autograd.backward(f(with_grad), grads)
            with_grad.grad = None
        return run

    def same(theirs):
        for a, b in zip(theirs, expected):
            torch.testing.assert_close(torch.as_tensor(a), b, rtol=0, atol=1e-4)

    n = x.numpy()
    flat = n.transpose(0, 2, 1).reshape(-1, n.shape[1]).copy()

    def rows():
        for row in flat:
            pywt.waverec(pywt.wavedec(row, wavelet, mode, level), wavelet, mode)

    out["pywt, row by row, both ways"] = rows
    along = lambda: pywt.wavedec(n, wavelet, mode, level, axis=1)
    same(along())
    out["pywt, vectorised"] = along
    of_ptwt = lambda t: ptwt.wavedec(t, wavelet, mode=mode, level=level, axis=-2)
    same(of_ptwt(x))
    out["ptwt"] = no_grad(lambda: of_ptwt(x))
    out["ptwt, with gradients"] = backward(of_ptwt)
    if torchwavelets is not None:
        layer = torchwavelets.DWT1D(J=level, wave=wavelet.name, mode=mode)
        low, high = layer(x.transpose(1, 2))
        same([c.transpose(1, 2) for c in [low] + list(high)[::-1]])
        out["torchwavelets"] = no_grad(lambda: layer(x.transpose(1, 2)))
    wavedec, waverec = slices(wavelet, level)
    same(wavedec(x))
    both = lambda t: waverec(wavedec(t))
    torch.testing.assert_close(both(x), x, rtol=0, atol=1e-4)
    out["slices, both ways"] = no_grad(lambda: both(x))
    if compiled:
        fast = torch.compile(both, dynamic=False)
        torch.testing.assert_close(fast(x), x, rtol=0, atol=1e-4)
        out["torch.compile of slices, both ways"] = no_grad(lambda: fast(x))

        def gradients():
            fast(with_grad).backward(x)
            with_grad.grad = None

        out["torch.compile of slices, both ways, with gradients"] = gradients
    return out
