"""Times the CUDA kernels beside a copy of the same bytes and their peers.

    python benchmarks/cuda_benchmark.py build/cuda/libsignalllm.so [section ...]

Sections: wavelets, seed, convolution, causal; all without one. Medians of CUDA
events after warm-up; `graph` is the time of one call among 20 captured in a
CUDA graph, `eager` the host's time a call. ptwt is timed where it is installed.
"""

import statistics
import sys
import time

import torch

try:
    import ptwt
except ImportError:
    ptwt = None

DEVICE = "cuda"
DB4 = [-0.010597401785069032, 0.0328830116668852, 0.030841381835560764,
       -0.18703481171909309, -0.027983769416859854, 0.6308807679298589,
       0.7148465705529157, 0.2303778133088965]


def timed(call, repeats=30, warm_up=5):
    """Median milliseconds of a call."""
    for _ in range(warm_up):
        call()
    events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True))
              for _ in range(repeats)]
    for begin, end in events:
        begin.record()
        call()
        end.record()
    torch.cuda.synchronize()
    return statistics.median(begin.elapsed_time(end) for begin, end in events)


def graphed(call, calls=20):
    for _ in range(3):
        call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(calls):
            call()
    return timed(graph.replay, 40) / calls


def eager(call, calls=300):
    for _ in range(30):
        call()
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(calls):
        call()
    torch.cuda.synchronize()
    return (time.perf_counter() - begin) / calls * 1e3


def name(dtype):
    return str(dtype).removeprefix("torch.")


class Bank:
    def __init__(self):
        self.lo = torch.tensor(DB4, device=DEVICE)
        signs = torch.tensor([-1.0, 1.0] * 4, device=DEVICE)
        self.hi = signs * self.lo.flip(0)
        self.rec_lo, self.rec_hi = self.lo.flip(0).contiguous(), self.hi.flip(0).contiguous()


def wavelets(ops):
    bank = Bank()
    for shape in [(64, 4096, 256), (8, 65536, 256), (1, 1048576, 128)]:
        for dtype in [torch.float32, torch.bfloat16]:
            x = torch.randn(*shape, device=DEVICE).to(dtype)
            y = torch.empty_like(x)
            c = ops.wavedec(x, bank.lo, bank.hi, 3, "reflect", 1)
            lengths = [t.shape[1] for t in c]
            copy = timed(lambda: y.copy_(x))
            times = {
                "analysis": lambda: ops.wavedec(x, bank.lo, bank.hi, 3, "reflect", 1),
                "synthesis": lambda: ops.waverec(c, bank.rec_lo, bank.rec_hi, "reflect", 1),
                "analysis'": lambda: ops.wavedec_backward_input(
                    c, bank.lo, bank.hi, shape[1], "reflect", 1),
                "synthesis'": lambda: ops.waverec_backward_input(
                    x, bank.rec_lo, bank.rec_hi, lengths, "reflect", 1),
            }
            times = {key: timed(call) for key, call in times.items()}
            print(f"{shape} {name(dtype)}: copy {copy:.4f} ms, "
                  + ", ".join(f"{key} {t:.4f} ({copy / t:.2f} of a copy's speed)"
                              for key, t in times.items())
                  + f", all four {sum(times.values()) / copy:.2f} copies", flush=True)
            if dtype == torch.float32 and shape[0] == 64:
                filters = timed(lambda: ops.wavedec_backward_filters(
                    c, x, bank.lo, bank.hi, "reflect", 1))
                print(f"  filter gradients {filters / copy:.1f} copies")
            if ptwt and dtype == torch.float32:
                t = timed(lambda: ptwt.wavedec(x, "db4", level=3, mode="reflect", axis=1), 5, 2)
                print(f"  ptwt.wavedec {t:.2f} ms, {t / copy:.1f} copies, "
                      f"{t / times['analysis']:.0f} times ours", flush=True)


def seed(ops):
    bank = Bank()
    for length in [64, 128, 256, 512, 1024]:
        for dtype in [torch.float32, torch.bfloat16]:
            x = torch.randn(8, length, 128, device=DEVICE).to(dtype)
            y = torch.empty_like(x)
            analysis = lambda: ops.wavedec(x, bank.lo, bank.hi, 3, "reflect", 1)
            c = analysis()
            synthesis = lambda: ops.waverec(c, bank.rec_lo, bank.rec_hi, "reflect", 1)
            copy = lambda: y.copy_(x)
            g, e = graphed(copy), eager(copy)
            print(f"length {length} {name(dtype)}: graph copy {g * 1e3:.2f} us, "
                  f"analysis {graphed(analysis) / g:.2f}, synthesis {graphed(synthesis) / g:.2f} copies; "
                  f"eager copy {e * 1e3:.2f} us, analysis {eager(analysis) / e:.2f}, "
                  f"synthesis {eager(synthesis) / e:.2f} copies", flush=True)
            if ptwt and dtype == torch.float32:
                t = eager(lambda: ptwt.wavedec(x, "db4", level=3, mode="reflect", axis=1), 50)
                print(f"  ptwt.wavedec eager {t * 1e3:.0f} us, {t / eager(analysis):.0f} times ours",
                      flush=True)


def convolution(ops):
    channels = 768
    for batch, length in [(16, 1024), (16, 4096), (8, 8192)]:
        for dtype in [torch.bfloat16, torch.float32]:
            x = torch.randn(batch, length, channels, device=DEVICE).to(dtype)
            decay = torch.exp(-4 * torch.arange(length, device=DEVICE) / length)
            k = torch.randn(length, channels, device=DEVICE) * decay[:, None] / length**0.5
            rows, kernel_rows = x.transpose(1, 2).contiguous(), k.t().contiguous()
            n = 2 * length

            def through_torch(rows):
                product = torch.fft.rfft(rows.float(), n) * torch.fft.rfft(kernel_rows, n)
                return torch.fft.irfft(product, n)[..., :length].to(dtype)

            y = torch.empty_like(x)
            copy = timed(lambda: y.copy_(x))
            ours = timed(lambda: ops.fft_conv(x, k, None, True))
            same = timed(lambda: through_torch(x.transpose(1, 2)).transpose(1, 2).contiguous(), 10)
            first = timed(lambda: through_torch(rows), 10)
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            out = ops.fft_conv(x, k, None, True)
            peak = (torch.cuda.max_memory_allocated() - before) / (x.numel() * x.element_size())
            want = torch.fft.irfft(torch.fft.rfft(x[:2].double(), n, 1)
                                   * torch.fft.rfft(k.double(), n, 0), n, 1)[:, :length]
            error = ((out[:2].double() - want).norm() / want.norm()).item()
            backward = timed(lambda: ops.fft_conv_backward(x, x, k, None, True), 10)
            gated = timed(lambda: ops.gated_fft_conv(x, x, x, k, None), 10)
            print(f"{(batch, length, channels)} {name(dtype)}: copy {copy:.4f} ms, ours {ours:.4f}, "
                  f"torch [N, L, C] {same:.3f} ({same / ours:.2f}), torch [N, C, L] {first:.3f} "
                  f"({first / ours:.2f}), error {error:.1e}, output and scratch {peak:.2f} inputs, "
                  f"backward {backward:.3f}, gated {gated:.3f}", flush=True)
            if dtype == torch.bfloat16 and length <= 4096:
                q = torch.randn(batch, 12, length, 64, device=DEVICE, dtype=dtype)
                t = timed(lambda: torch.nn.functional.scaled_dot_product_attention(
                    q, q, q, is_causal=True), 10)
                print(f"  causal attention, 12 heads of 64: {t:.3f} ms")


def causal(ops):
    x = torch.randn(16, 4096, 256, device=DEVICE)
    y = torch.empty_like(x)
    lo, hi = torch.randn(256, 4, device=DEVICE) / 2, torch.randn(256, 4, device=DEVICE) / 2
    weight = torch.randn(256, 7, device=DEVICE)
    for dtype in [torch.float32, torch.bfloat16]:
        z, w = x.to(dtype), y.to(dtype)
        copy = timed(lambda: w.copy_(z))
        bank = timed(lambda: ops.causal_wavedec(z, lo, 5, 1), 10)
        filtered = timed(lambda: ops.causal_wavelet_filter(z, lo, hi, weight, 1), 10)
        print(f"(16, 4096, 256) {name(dtype)}, 5 levels of 4 taps: copy {copy:.4f} ms, "
              f"causal_wavedec {bank / copy:.1f} copies, causal_wavelet_filter {filtered / copy:.1f}",
              flush=True)


def main():
    torch.ops.load_library(sys.argv[1])
    sections = {"wavelets": wavelets, "seed": seed, "convolution": convolution, "causal": causal}
    print(torch.cuda.get_device_name(), torch.__version__)
    for section in sys.argv[2:] or sections:
        sections[section](torch.ops.signalllm)


if __name__ == "__main__":
    main()
