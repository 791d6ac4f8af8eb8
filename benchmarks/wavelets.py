#!/usr/bin/env python3
"""Wavelet transforms on the CPU against a copy of the same bytes and peers.

    ./run.sh bench wavelets                     # all sizes; table and picture
    benchmarks/wavelets.py --shapes 8x256x128 --threads 1 --no-peers

Every round runs every candidate once, so that what else the machine does hits
all alike; the figures are medians over the rounds, and every candidate's
result is compared with ours before anything is timed. With one thread the
clock is the process's CPU time, with more the wall clock.
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

import wavelet_peers
import wavelet_report

ROOT = pathlib.Path(__file__).resolve().parents[1]
MODE, LEVEL = "reflect", 3
SEED = [f"8x{n}x128" for n in (64, 128, 256, 512, 1024)]
LARGE = "64x4096x256"
MONO = ["64x4096x1", f"1x{1 << 22}x1"]


def medians(candidates, seconds, clock):
    """Median seconds a call; `seconds` is about the time for each candidate."""
    inner, times = {}, {name: [] for name in candidates}
    for name, f in candidates.items():
        f()
        begin = clock()
        f()
        inner[name] = max(1, int(0.001 / max(clock() - begin, 1e-7)))
    end = time.monotonic() + seconds * len(candidates)
    while True:
        for name, f in candidates.items():
            if times[name] and sum(times[name]) * inner[name] > 3 * seconds:
                continue
            begin = clock()
            for _ in range(inner[name]):
                f()
            times[name].append((clock() - begin) / inner[name])
        if time.monotonic() > end:
            return {name: statistics.median(t) for name, t in times.items()}


def resident(field):
    for line in open("/proc/self/status"):
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    return 0


def extra_memory(f):
    """Bytes that a call's peak lies above what is resident before it."""
    try:
        with open("/proc/self/clear_refs", "w") as refs:
            refs.write("5")
    except OSError:
        return None
    before = resident("VmRSS")
    f()
    return max(0, resident("VmHWM") - before)


def ours(ops, x, wavelet, full):
    """Our operators: name -> function, and what wavedec gives."""
    f = [torch.tensor(v) for v in (
        wavelet.dec_lo, wavelet.dec_hi, wavelet.rec_lo, wavelet.rec_hi)]
    y, length = torch.empty_like(x), x.shape[1]
    coeffs = ops.wavedec(x, f[0], f[1], LEVEL, MODE)
    back = ops.waverec(coeffs, f[2], f[3], MODE)
    g = [torch.randn_like(c) for c in coeffs]
    gy = torch.randn_like(back)
    lengths = [c.shape[1] for c in coeffs]
    leaf = x.clone().requires_grad_()
    learned = [v.clone().requires_grad_() for v in f]

    def no_grad(step):
        def run():
            with torch.no_grad():
                return step()
        return run

    def both(t):
        c = ops.wavedec(t, f[0], f[1], LEVEL, MODE)
        return ops.waverec(c, f[2], f[3], MODE)

    def gradients(filters):
        def run():
            c = ops.wavedec(leaf, filters[0], filters[1], LEVEL, MODE)
            torch.autograd.backward(c, g)
            leaf.grad = filters[0].grad = filters[1].grad = None
        return run

    def both_gradients():
        both(leaf).backward(gy)
        leaf.grad = None

    out = {
        "copy": no_grad(lambda: y.copy_(x)),
        "clone": no_grad(lambda: x.clone()),
        "wavedec.out": no_grad(lambda: ops.wavedec.out(
            x, f[0], f[1], LEVEL, MODE, -2, out=coeffs)),
        "waverec.out": no_grad(lambda: ops.waverec.out(
            coeffs, f[2], f[3], MODE, -2, out=back)),
        "wavedec": no_grad(lambda: ops.wavedec(x, f[0], f[1], LEVEL, MODE)),
        "wavedec's gradient of the input": no_grad(
            lambda: ops.wavedec_backward_input(g, f[0], f[1], length, MODE, -2)),
        "wavedec's gradient of the filters": no_grad(
            lambda: ops.wavedec_backward_filters(g, x, f[0], f[1], MODE, -2)),
        "waverec": no_grad(lambda: ops.waverec(coeffs, f[2], f[3], MODE)),
        "waverec's gradient of the input": no_grad(
            lambda: ops.waverec_backward_input(gy, f[2], f[3], lengths, MODE, -2)),
        "both ways": no_grad(lambda: both(x)),
        "wavedec, with gradients": gradients(f),
        "wavedec, with filter gradients": gradients(learned),
        "both ways, with gradients": both_gradients,
    }
    if full:
        # Any backend without kernels of its own gets the composite path.
        keys = torch._C.DispatchKeySet(torch._C.DispatchKey.XLA)
        composite = lambda: ops.wavedec.default.redispatch(
            keys, x, f[0], f[1], LEVEL, MODE, -2)
        for a, b in zip(composite(), coeffs):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-4)
        out["composite"] = no_grad(composite)
    return out, coeffs, g


def measure(ops, shape, name, threads, seconds, full, compiled):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    x, wavelet = torch.randn(shape), pywt.Wavelet(name)
    # First of all, before the thread's scratch memory has grown.
    f = [torch.tensor(v) for v in (wavelet.dec_lo, wavelet.dec_hi)]
    ops.wavedec(x[:1, :16].contiguous(), *f, LEVEL, MODE)  # loads the code
    lengths = [shape[1]]
    for _ in range(LEVEL):
        lengths.append((lengths[-1] + wavelet.dec_len - 1) // 2)
    out = [torch.ones(shape[0], n, shape[2])
           for n in lengths[-1:] + lengths[:0:-1]]
    extra = extra_memory(
        lambda: ops.wavedec.out(x, *f, LEVEL, MODE, -2, out=out))
    candidates, coeffs, grads = ours(ops, x, wavelet, full)
    if full:
        candidates.update(wavelet_peers.peers(
            x, wavelet, MODE, LEVEL, grads, coeffs, compiled))
    clock = time.process_time if threads == 1 else time.perf_counter
    return {"shape": "x".join(map(str, shape)), "wavelet": name,
            "threads": threads, "extra_bytes": extra,
            "seconds": medians(candidates, seconds, clock)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shapes", default=",".join(SEED + [LARGE] + MONO))
    parser.add_argument("--wavelet", default="db4")
    parser.add_argument("--long", default="db8,db10,sym20",
                        help="longer filters, at 8x256x128; empty: none")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=0.4,
                        help="time for each candidate and size")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--out", type=pathlib.Path,
                        default=ROOT / "build" / "bench" / "wavelets",
                        help="stem of the .json, .md and .png")
    parser.add_argument("--add", action="store_true",
                        help="keep the sizes that the .json has already")
    parser.add_argument("--library", default=os.environ.get(
        "SIGNALLLM_LIBRARY", str(ROOT / "build/release/libsignalllm.so")))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.ops.load_library(args.library)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    saved = args.out.with_suffix(".json")
    results = json.loads(saved.read_text()) if args.add and saved.exists() else []
    plan = [(shape, args.wavelet, int(t)) for t in args.threads.split(",")
            for shape in filter(None, args.shapes.split(","))]
    plan += [("8x256x128", w, 1) for w in filter(None, args.long.split(","))]
    for shape, wavelet, threads in plan:
        sizes = tuple(map(int, shape.split("x")))
        large = sizes[0] * sizes[1] * sizes[2] >= 1 << 22
        full = threads == 1 and wavelet == args.wavelet and not args.no_peers
        r = measure(torch.ops.signalllm, sizes, wavelet, threads, args.seconds,
                    full, not large and not args.no_compile)
        key = lambda v: (v["shape"], v["wavelet"], v["threads"])
        results = [v for v in results if key(v) != key(r)] + [r]
        print(wavelet_report.text(r), flush=True)
        saved.write_text(json.dumps(results, indent=1) + "\n")
    wavelet_report.write(results, args.out)


if __name__ == "__main__":
    main()
