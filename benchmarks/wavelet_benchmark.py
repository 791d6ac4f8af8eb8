#!/usr/bin/env python3
"""Wavelet transforms on the CPU against a copy of the same bytes and peers.

Every round runs every candidate once; reported are medians over the rounds.
With one thread the clock is the process's CPU time, so that other work on the
machine counts less; with more it is the wall clock. Results of the peers are
compared with ours before anything is timed.

    benchmarks/wavelet_benchmark.py [--lengths 64,256] [--large] [--json FILE]
"""
import argparse
import json
import os
import pathlib
import statistics
import time
import warnings

import pywt
import torch

ROOT = pathlib.Path(__file__).resolve().parents[1]
LIBRARY = os.environ.get(
    "SIGNALLLM_LIBRARY", str(ROOT / "build" / "release" / "libsignalllm.so")
)
MODE, LEVEL = "reflect", 3
ops = None


def optional(module):
    try:
        return __import__(module)
    except ImportError:
        return None


def medians(candidates, seconds, clock):
    """Median seconds a call of each; `seconds` is the time to spend on each."""
    inner, times = {}, {name: [] for name in candidates}
    for name, f in candidates.items():
        f()
        begin = clock()
        f()
        inner[name] = max(1, int(0.002 / max(clock() - begin, 1e-7)))
    end = time.monotonic() + seconds * len(candidates)
    while True:
        for name, f in candidates.items():
            begin = clock()
            for _ in range(inner[name]):
                f()
            times[name].append((clock() - begin) / inner[name])
        rounds = len(times[name])
        if rounds >= 3 and (time.monotonic() > end or rounds >= 51):
            return {name: statistics.median(t) for name, t in times.items()}


def slices(f, taps):
    """Analysis and synthesis as strided slices: what torch.compile likes."""
    lo, hi, rlo, rhi = (v.tolist() for v in f)

    def analysis(x):
        n = x.size(1)
        out = (n + taps - 1) // 2
        right = 2 * out - n
        index = torch.arange(-(taps - 2), n + right).abs()
        index = torch.where(index >= n, 2 * n - 2 - index, index)
        left, rest = index[: taps - 2], index[taps - 2 + n:]
        e = torch.cat([x[:, left], x, x[:, rest]], 1)
        a = d = 0
        for j in range(taps):
            s = e[:, taps - 1 - j:taps - 1 - j + 2 * out - 1:2]
            a, d = a + lo[j] * s, d + hi[j] * s
        return a, d

    def wavedec(x):
        out = []
        for _ in range(LEVEL):
            x, d = analysis(x)
            out.append(d)
        return [x] + out[::-1]

    def waverec(coeffs):
        a = coeffs[0]
        for d in coeffs[1:]:
            a = a[:, : d.size(1)]
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


def candidates(shape, wavelet, peers):
    """Groups of candidates: forward analysis, round trip, with gradients."""
    w = pywt.Wavelet(wavelet)
    f = [torch.tensor(v) for v in (w.dec_lo, w.dec_hi, w.rec_lo, w.rec_hi)]
    taps = w.dec_len
    x = torch.randn(shape)
    y = torch.empty_like(x)
    out = ops.wavedec(x, f[0], f[1], LEVEL, MODE)
    back = ops.waverec(out, f[2], f[3], MODE)
    lengths = [c.shape[1] for c in out]
    g = [torch.randn_like(c) for c in out]
    xg = x.clone().requires_grad_()
    fg = [v.clone().requires_grad_() for v in f]

    def ours(t=x, filters=f):
        c = ops.wavedec(t, filters[0], filters[1], LEVEL, MODE)
        return ops.waverec(c, filters[2], filters[3], MODE)

    def backward(step, leaves=(xg,)):
        def run():
            step(xg).backward(y)
            for leaf in leaves:
                leaf.grad = None
        return run

    def no_grad(step):
        def run():
            with torch.no_grad():
                return step()
        return run

    def inputs_only():
        c = ops.wavedec(xg, f[0], f[1], LEVEL, MODE)
        torch.autograd.backward(c, g)
        xg.grad = None

    def with_filters():
        c = ops.wavedec(xg, fg[0], fg[1], LEVEL, MODE)
        torch.autograd.backward(c, g)
        xg.grad = fg[0].grad = fg[1].grad = None

    c = {
        "copy_": no_grad(lambda: y.copy_(x)),
        "clone": no_grad(lambda: x.clone()),
        "wavedec.out": no_grad(lambda: ops.wavedec.out(
            x, f[0], f[1], LEVEL, MODE, -2, out=out)),
        "waverec.out": no_grad(lambda: ops.waverec.out(
            out, f[2], f[3], MODE, -2, out=back)),
        "wavedec": no_grad(lambda: ops.wavedec(x, f[0], f[1], LEVEL, MODE)),
        "round trip": no_grad(ours),
        "wavedec backward": no_grad(lambda: ops.wavedec_backward_input(
            g, f[0], f[1], shape[1], MODE, -2)),
        "waverec backward": no_grad(lambda: ops.waverec_backward_input(
            y, f[2], f[3], lengths, MODE, -2)),
        "wavedec, gradients": inputs_only,
        "wavedec, gradients and filters": with_filters,
        "round trip, gradients": backward(ours),
    }
    if not peers:
        return c
    wavedec, waverec = slices(f, taps)
    torch.testing.assert_close(waverec(wavedec(x)), ours(), rtol=0, atol=1e-4)
    compiled = torch.compile(lambda t: waverec(wavedec(t)), dynamic=False)
    torch.testing.assert_close(compiled(x), ours(), rtol=0, atol=1e-4)
    c["torch.compile round trip"] = no_grad(lambda: compiled(x))
    c["torch.compile round trip, gradients"] = backward(compiled)
    c["slices round trip"] = no_grad(lambda: waverec(wavedec(x)))
    n = x.numpy()
    c["pywt axis"] = lambda: pywt.wavedec(n, w, MODE, LEVEL, axis=1)
    flat = x.transpose(1, 2).reshape(-1, shape[1]).contiguous().numpy()

    def rows():
        for row in flat:
            pywt.waverec(pywt.wavedec(row, w, MODE, LEVEL), w, MODE)

    c["pywt rows round trip"] = rows
    ptwt = optional("ptwt")
    if ptwt:
        def ptwt_forward(t=x):
            return ptwt.wavedec(t, w, mode=MODE, level=LEVEL, axis=-2)

        def ptwt_gradients():
            torch.autograd.backward(ptwt_forward(xg), g)
            xg.grad = None

        c["ptwt"] = no_grad(ptwt_forward)
        c["ptwt, gradients"] = ptwt_gradients
    torchwavelets = optional("torchwavelets")
    if torchwavelets and hasattr(torchwavelets, "DWT1D"):
        layer = torchwavelets.DWT1D(wavelet, LEVEL, mode=MODE)
        c["torchwavelets"] = no_grad(lambda: layer(x.transpose(1, 2)))
    return c


RATIOS = [  # name, over, under, at most (+) or at least (-), by length
    ("wavedec.out / copy_", "wavedec.out", "copy_"),
    ("waverec.out / copy_", "waverec.out", "copy_"),
    ("wavedec / clone", "wavedec", "clone"),
    ("wavedec backward / wavedec", "wavedec backward", "wavedec"),
    ("waverec backward / waverec.out", "waverec backward", "waverec.out"),
    ("torch.compile / ours, round trip", "torch.compile round trip", "round trip"),
    ("torch.compile / ours, gradients", "torch.compile round trip, gradients",
     "round trip, gradients"),
    ("slices / ours, round trip", "slices round trip", "round trip"),
    ("ptwt / ours", "ptwt", "wavedec"),
    ("ptwt / ours, gradients", "ptwt, gradients", "wavedec, gradients"),
    ("pywt axis / ours", "pywt axis", "wavedec"),
    ("torchwavelets / ours", "torchwavelets", "wavedec"),
    ("pywt rows / ours, round trip", "pywt rows round trip", "round trip"),
]


def report(shape, wavelet, threads, t):
    print(f"\n{wavelet} {tuple(shape)} {threads} thread(s): copy_ "
          f"{t['copy_'] * 1e6:.1f} us, clone {t['clone'] * 1e6:.1f} us")
    for name, over, under in RATIOS:
        if over in t and under in t:
            print(f"  {name:36} {t[over] / t[under]:8.2f}")
    forward = t["wavedec"]
    for name in ("wavedec, gradients", "wavedec, gradients and filters"):
        print(f"  ({name} - wavedec) / wavedec".ljust(38)
              + f" {(t[name] - forward) / forward:8.2f}")


def main():
    global ops
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lengths", default="64,128,256,512,1024")
    parser.add_argument("--wavelets", default="db8,db10,sym20")
    parser.add_argument("--large", action="store_true", help="64 x 4096 x 256")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.ops.load_library(LIBRARY)
    ops = torch.ops.signalllm
    torch.manual_seed(0)
    results = []

    def case(shape, wavelet, threads, peers):
        torch.set_num_threads(threads)
        clock = time.process_time if threads == 1 else time.perf_counter
        t = medians(candidates(shape, wavelet, peers), args.seconds, clock)
        report(shape, wavelet, threads, t)
        results.append({"shape": list(shape), "wavelet": wavelet,
                        "threads": threads, "seconds": t})
        return t

    for threads in map(int, args.threads.split(",")):
        for length in map(int, filter(None, args.lengths.split(","))):
            case((8, length, 128), "db4", threads,
                 threads == 1 and not args.no_peers)
        if args.large:
            case((64, 4096, 256), "db4", threads, False)
    for wavelet in filter(None, args.wavelets.split(",")):
        case((8, 256, 128), wavelet, 1, False)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
