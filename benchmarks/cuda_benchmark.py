"""Times the CUDA kernels beside a copy of the same bytes and their peers.

    python benchmarks/cuda_benchmark.py build/cuda/libsignalllm.so [section ...]

Sections: wavelets, seed, convolution, long, causal, swt, tree, taps, heads, relu,
norms; all without one. Medians of CUDA events after warm-up; `graph` is the time
of one call among 20 captured in a CUDA graph, `eager` the host's time a call. ptwt
is timed where it is installed.
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


def peak_of(call):
    """Bytes at most allocated by a call beyond what was there."""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def long(ops):
    """Convolutions beyond 8,192, the Fourier kernel's taps, and a training step
    of both: gated convolution with taps from their parameters, forward and
    backward."""
    channels, count = 384, 16
    for batch, length in [(8, 16384), (2, 65536), (1, 131072)]:
        n = 2 * length
        terms = (torch.randn(2 * count + 1, channels, device=DEVICE) / 10).requires_grad_()
        span = torch.linspace(1.4, 12, channels, device=DEVICE)
        log_decay = span.clone().requires_grad_()
        octave = ((span - 1.4) / 0.6931).round().clamp(0, 12)
        frequency = octave.exp2()
        skip = torch.ones(channels, device=DEVICE, requires_grad=True)
        with torch.no_grad():
            k = ops.fourier_taps(terms, log_decay, frequency, length, length)
            exact = ops.fourier_taps(terms.double(), log_decay.double(), frequency, length, length)
            error = ((k - exact).abs().max() / exact.abs().max()).item()
            fill = torch.empty_like(k)
            write = timed(lambda: fill.fill_(1.0))
            taps = timed(lambda: ops.fourier_taps(terms, log_decay, frequency, length, length), 10)
            back = timed(lambda: ops.fourier_taps_backward(k, terms, log_decay, frequency, length), 10)
            memory = peak_of(lambda: ops.fourier_taps(terms, log_decay, frequency, length, length))
        print(f"taps ({length}, {channels}): {taps:.3f} ms (writing them {write:.3f}), backward "
              f"{back:.3f}, error {error:.1e} of the largest, memory {memory / k.nbytes:.2f} taps",
              flush=True)
        for dtype in [torch.bfloat16, torch.float32]:
            x, v, q = (torch.randn(batch, length, channels, device=DEVICE).to(dtype) for _ in range(3))
            y = torch.empty_like(x)
            copy = timed(lambda: y.copy_(x))

            def through_torch(x):
                product = torch.fft.rfft(x.float(), n, 1) * torch.fft.rfft(k, n, 0)
                return torch.fft.irfft(product, n, 1)[:, :length].to(dtype)

            ours = timed(lambda: ops.fft_conv(x, k, None, True), 10)
            peak = peak_of(lambda: ops.fft_conv(x, k, None, True)) / x.nbytes
            theirs = timed(lambda: through_torch(x), 5, 2)
            rows = timed(lambda: through_torch(x.transpose(1, 2).contiguous().transpose(1, 2)), 5, 2)
            want = torch.fft.irfft(torch.fft.rfft(x[:1].double(), n, 1)
                                   * torch.fft.rfft(k.double(), n, 0), n, 1)[:, :length]
            got = ops.fft_conv(x, k, None, True)[:1].double()
            error = ((got - want).norm() / want.norm()).item()
            del want, got
            backward = timed(lambda: ops.fft_conv_backward(x, x, k, None, True), 10)
            gated = timed(lambda: ops.gated_fft_conv(x, v, q, k, skip.detach()), 10)
            gated_back = timed(lambda: ops.gated_fft_conv_backward(x, x, v, q, k, skip.detach()), 10)

            def step():
                a, b, c = (t.detach().requires_grad_() for t in (x, v, q))
                kernel = ops.fourier_taps(terms, log_decay, frequency, length, length)
                ops.gated_fft_conv(a, b, c, kernel, skip).backward(y)

            train = timed(step, 10)
            step_peak = peak_of(step) / x.nbytes
            print(f"{(batch, length, channels)} {name(dtype)}: copy {copy:.4f} ms, ours {ours:.3f} "
                  f"({ours / copy:.1f} copies), torch [N, L, C] {theirs:.3f} ({theirs / ours:.2f}), "
                  f"torch through [N, C, L] {rows:.3f} ({rows / ours:.2f}), error {error:.1e}, output "
                  f"and scratch {peak:.2f} inputs, backward {backward:.3f}, gated {gated:.3f}, its "
                  f"backward {gated_back:.3f}, taps and gated forward and backward {train:.3f}, "
                  f"peak {step_peak:.1f} inputs", flush=True)


def causal(ops):
    """Causal banks, forward and backward; a copy reads and writes the input once.
    What has to be read and written: causal_wavedec 3.5 copies, its gradients 7 and
    more; causal_wavelet_filter one, its gradients 3 and more."""
    for shape, levels, count in [((16, 4096, 256), 5, 4), ((16, 4096, 256), 5, 8),
                                 ((16, 4096, 256), 5, 3), ((16, 4096, 256), 8, 4),
                                 ((1, 262144, 64), 5, 4), ((64, 512, 384), 5, 4)]:
        x = torch.randn(*shape, device=DEVICE)
        channels = shape[2]
        lo, hi = (torch.randn(channels, count, device=DEVICE).clamp(-1, 1) / count for _ in range(2))
        weight = torch.randn(channels, levels + 2, device=DEVICE)
        for dtype in [torch.float32, torch.bfloat16]:
            z = x.to(dtype)
            y = torch.empty_like(z)
            copy = timed(lambda: y.copy_(z))
            c = ops.causal_wavedec(z, lo, levels, 1)
            times = {
                "causal_wavedec": lambda: ops.causal_wavedec(z, lo, levels, 1),
                "to its input": lambda: ops.causal_wavedec_backward_input(c, lo, 1),
                "both": lambda: ops.causal_wavedec_backward(c, z, lo, 1),
                "causal_wavelet_filter": lambda: ops.causal_wavelet_filter(z, lo, hi, weight, 1),
                "to the input": lambda: ops.causal_wavelet_filter_backward_input(
                    z, lo, hi, weight, 1),
                "all": lambda: ops.causal_wavelet_filter_backward(z, z, lo, hi, weight, 1),
            }
            print(f"{shape} {name(dtype)}, {levels} levels of {count} taps: copy {copy:.4f} ms; copies: "
                  + ", ".join(f"{key} {timed(call, 10) / copy:.1f}" for key, call in times.items()),
                  flush=True)


def swt(ops):
    """Stationary transforms, db4, three levels: five tensors read or written, 2.5 copies."""
    bank = Bank()
    for shape in [(16, 4096, 256), (1, 262144, 64)]:
        for dtype in [torch.float32, torch.bfloat16]:
            x = torch.randn(*shape, device=DEVICE).to(dtype)
            y = torch.empty_like(x)
            copy = timed(lambda: y.copy_(x))
            c = ops.swt(x, bank.lo, bank.hi, 3, 1)
            times = {
                "swt": lambda: ops.swt(x, bank.lo, bank.hi, 3, 1),
                "iswt": lambda: ops.iswt(c, bank.rec_lo, bank.rec_hi, 1),
                "filter gradients": lambda: ops.swt_backward_filters(c, x, bank.lo, bank.hi, 1),
            }
            print(f"{shape} {name(dtype)}: copy {copy:.4f} ms; copies: "
                  + ", ".join(f"{key} {timed(call, 10) / copy:.1f}" for key, call in times.items()),
                  flush=True)


class GatheredTree:
    """Attention over the tree by torch: every chunk's keys gathered from the pyramid
    into one sequence of the flash attention kernel, the logarithm of a node's size in
    two more channels, empty slots as keys with a logit that no softmax sees."""

    def __init__(self, length, window):
        chunks, self.window = length // window, window
        self.levels = max(chunks - 1, 1).bit_length() - 1
        first = [0]
        for level in range(self.levels + 1):
            first.append(first[-1] + (length >> level))
        empty = first[-1]
        rows = []
        for chunk in range(chunks):
            for level in range(self.levels, 0, -1):
                behind, half = (chunk >> level) - 1, (chunk >> (level - 1)) % 2 == 0
                count = 0 if behind < 0 else window // 2 if half else window
                at = first[level] + behind * window
                rows += [at + i if i < count else empty + i for i in range(window)]
            rows += [(chunk - 1) * window + i if chunk else empty + i for i in range(window)]
            rows += range(chunk * window, (chunk + 1) * window)
        self.rows = torch.tensor(rows, device=DEVICE)
        self.shape = (chunks, (self.levels + 2) * window)
        self.sizes = torch.full((empty + window,), -30000.0, device=DEVICE)
        for level in range(self.levels + 1):
            self.sizes[first[level]:first[level + 1]] = level * 0.6931471805599453

    def slots(self, x, sizes):
        levels = [x.float()]
        for _ in range(self.levels):
            levels.append(levels[-1].unflatten(1, (-1, 2)).mean(2))
        y = torch.nn.functional.pad(torch.cat(levels, 1).to(x.dtype), (0, 8, 0, self.window))
        if sizes:
            logits = self.sizes * x.shape[-1]**0.5
            most = logits.to(x.dtype)
            y[:, :, -8], y[:, :, -7] = most, logits - most
        return y.index_select(1, self.rows).unflatten(1, self.shape)

    def __call__(self, q, k, v):
        b, h, t, d = q.shape
        wide = torch.nn.functional.pad(q.flatten(0, 1), (0, 8))
        wide[:, :, d:d + 2] = 1
        wide = wide.unflatten(1, (-1, self.window))
        out = torch.ops.aten._scaled_dot_product_flash_attention(
            wide, self.slots(k.flatten(0, 1), True), self.slots(v.flatten(0, 1), False),
            0.0, True, scale=d**-0.5)[0]
        return out[..., :d].reshape(b, h, t, d)


def tree(ops):
    tokens, heads = 32768, 8
    dense = lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)

    def measured(call, leaves, g, repeats):
        """Milliseconds forward, forward and backward, MB beyond inputs at the peak."""
        def both():
            torch.autograd.grad(call(*leaves), leaves, g)

        def forward():
            with torch.no_grad():
                call(*leaves)
        try:
            times = timed(forward, repeats, 3), timed(both, repeats, 3)
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            both()
            return *times, (torch.cuda.max_memory_allocated() - before) / 2**20
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            return None

    def shown(key, result, ours):
        if result is None:
            return f"{key} out of memory"
        return (f"{key} {result[0]:.3f} / {result[1]:.3f} ms, {result[2]:.0f} MB "
                f"({result[0] / ours[0]:.2f} / {result[1] / ours[1]:.2f} times ours)")

    for length in [1024, 8192, 65536]:
        batch = max(tokens // length, 1)
        for size in [32, 64, 128]:
            for dtype in [torch.bfloat16, torch.float32]:
                if dtype == torch.float32 and size != 64:
                    continue
                q, k, v = (torch.randn(batch, heads, length, size, device=DEVICE)
                           .to(dtype).requires_grad_() for _ in range(3))
                g = torch.randn_like(q)
                repeats = 3 if dtype == torch.float32 and length > 8192 else 10
                all_dense = measured(dense, (q, k, v), g, repeats)
                y = torch.empty(4, *q.shape, dtype=dtype, device=DEVICE)
                copy = timed(lambda: y[:2].copy_(y[2:]))  # reads two, writes two
                del y
                for window in [64, 256]:
                    results = {}
                    own = lambda q, k, v: ops.tree_attention(q, k, v, window)[0]
                    ours = measured(own, (q, k, v), g, repeats)
                    results["dense"] = all_dense
                    if dtype == torch.bfloat16:
                        gathered = GatheredTree(length, window)
                        results["gathered"] = measured(gathered, (q, k, v), g, repeats)
                        with torch.no_grad():
                            a, b = own(q, k, v).float(), gathered(q, k, v).float()
                            apart = ((a - b).norm() / b.norm()).item()
                        del gathered, a, b
                    else:
                        apart = float("nan")
                    print(f"{(batch, heads, length, size)} {name(dtype)} window {window}: "
                          f"copy of q, k, v, o {copy:.3f} ms; ours {ours[0]:.3f} / {ours[1]:.3f} ms, "
                          f"{ours[2]:.0f} MB; "
                          + "; ".join(shown(key, r, ours) for key, r in results.items())
                          + f"; apart {apart:.1e}", flush=True)


def taps(ops):
    """Taps of a model's Fourier branch and their gradients; the limit is writing,
    or reading, the taps once."""
    channels, count = 384, 16
    for length in [1024, 8192, 65536]:
        terms = torch.randn(2 * count + 1, channels, device=DEVICE) / 10
        decay = torch.linspace(1.4, 12, channels, device=DEVICE)
        frequency = ((decay - 1.4) / 0.6931).round().clamp(0, 12).exp2()
        args = terms, decay, frequency
        k = ops.fourier_taps(*args, length, length)
        y = torch.empty_like(k)
        want = ops.fourier_taps(*(t.double() for t in args), length, length)
        error = ((k - want).abs().max() / want.abs().max()).item()
        back = ops.fourier_taps_backward(k, *args, length)
        exact = ops.fourier_taps_backward(k.double(), *(t.double() for t in args), length)
        errors = [((a - b).norm() / b.norm()).item() for a, b in zip(back, exact)]
        del want, exact
        copy, fill = graphed(lambda: y.copy_(k)), graphed(lambda: y.fill_(1.0))
        read = graphed(lambda: k.sum())
        forward = graphed(lambda: ops.fourier_taps(*args, length, length))
        backward = graphed(lambda: ops.fourier_taps_backward(k, *args, length))
        print(f"taps ({length}, {channels}): copy {copy * 1e3:.1f} us, writing {fill * 1e3:.1f}, "
              f"summing {read * 1e3:.1f}; forward {forward * 1e3:.1f} us ({forward / fill:.2f} of "
              f"writing), error {error:.1e}; backward {backward * 1e3:.1f} us ({backward / read:.2f} "
              f"of summing), errors {errors[0]:.1e}, {errors[1]:.1e}", flush=True)


def heads(ops):
    """Heads of an attention, their norm and rotation; the limit is a copy of all."""
    def composed(x, count, base, epsilon):
        batch, length, _ = x.shape
        size = x.shape[2] // (3 * count)
        parts = x.view(batch, length, 3, count, size).permute(2, 0, 3, 1, 4).contiguous()
        pair = parts[:2]
        if epsilon:
            pair = torch.nn.functional.rms_norm(pair, (size,), None, epsilon)
        pairs = torch.arange(0, size, 2, device=DEVICE, dtype=torch.double)
        angles = torch.arange(length, device=DEVICE).double()[:, None] * base ** (-pairs / size)
        cosine, sine = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        a, b = pair.chunk(2, -1)
        return *torch.cat([a * cosine - b * sine, a * sine + b * cosine], -1), parts[2]

    for batch, length, count in [(4, 8192, 2), (4, 8192, 8), (1, 65536, 2)]:
        for dtype in [torch.bfloat16, torch.float32]:
            for epsilon in [None, 1e-6]:
                x = torch.randn(batch, length, 3 * count * 64, device=DEVICE).to(dtype)
                y = torch.empty_like(x)
                copy = graphed(lambda: y.copy_(x))
                g = [t.clone() for t in ops.attention_heads(x, count, 1e4, 0, epsilon)]
                leaf = x.clone().requires_grad_()
                forward = graphed(lambda: ops.attention_heads(x, count, 1e4, 0, epsilon))
                backward = graphed(lambda: ops.attention_heads_backward(
                    *g, x, 1e4, 0, epsilon))
                torchs = graphed(lambda: composed(x, count, 1e4, epsilon))
                both = timed(lambda: torch.autograd.grad(
                    composed(leaf, count, 1e4, epsilon), leaf, g))
                own = timed(lambda: torch.autograd.grad(
                    ops.attention_heads(leaf, count, 1e4, 0, epsilon), leaf, g))
                print(f"heads {(batch, length, count)} of 64 {name(dtype)} norm {epsilon}: copy "
                      f"{copy * 1e3:.1f} us, forward {forward * 1e3:.1f} ({forward / copy:.2f} copies), "
                      f"backward {backward * 1e3:.1f} ({backward / copy:.2f}); torch's forward "
                      f"{torchs * 1e3:.1f}; both eager {own * 1e3:.0f} us, torch {both * 1e3:.0f}",
                      flush=True)


def relu(ops):
    """The squared ReLU of a feed-forward; forward is a copy, backward three halves of one."""
    for dtype in [torch.bfloat16, torch.float32]:
        x = torch.randn(32768, 2048, device=DEVICE).to(dtype)
        y = torch.empty_like(x)
        leaf = x.clone().requires_grad_()
        copy = graphed(lambda: y.copy_(x))
        forward = graphed(lambda: ops.squared_relu(x))
        backward = graphed(lambda: ops.squared_relu_backward(x, x))

        def composed():
            z = torch.relu(leaf)
            torch.autograd.grad(z * z, leaf, x)

        print(f"squared_relu (32768, 2048) {name(dtype)}: copy {copy * 1e3:.1f} us, forward "
              f"{forward * 1e3:.1f} ({forward / copy:.2f} copies), backward {backward * 1e3:.1f} "
              f"({backward / copy:.2f}); torch's both {timed(composed) * 1e3:.1f}", flush=True)


def norms(ops):
    """A block's norms; forward is a copy, backward three halves of one."""
    for rows, channels, mixed in [(32768, 512, True), (32768, 512, False), (32768, 384, False)]:
        dtype = torch.float32 if mixed else torch.bfloat16
        x = torch.randn(rows, channels, device=DEVICE).to(dtype)
        weight, bias = torch.ones(channels, device=DEVICE), torch.zeros(channels, device=DEVICE)
        out = torch.bfloat16
        y, g = torch.empty_like(x), torch.randn_like(x).to(out)
        copy = graphed(lambda: y.copy_(x))
        row = (channels,)
        w, b = weight.to(dtype), bias.to(dtype)
        _, mean, rstd = torch.native_layer_norm(x, row, w, b, 1e-5)
        calls = {
            "layer_norm": lambda: ops.layer_norm(x, weight, bias, 1e-5, out),
            "torch's": lambda: torch.nn.functional.layer_norm(x, row, w, b, 1e-5).to(out),
            "backward": lambda: ops.layer_norm_backward(g, x, weight, 1e-5),
            "torch's backward": lambda: torch.ops.aten.native_layer_norm_backward(
                g.to(dtype), x, row, mean, rstd, w, b, [True] * 3),
        }
        if not mixed:
            _, rstd = torch.ops.aten._fused_rms_norm(x, row, None, 1e-6)
            calls |= {
                "rms_norm": lambda: ops.rms_norm(x, 1e-6),
                "torch's rms": lambda: torch.nn.functional.rms_norm(x, row, None, 1e-6),
                "rms backward": lambda: ops.rms_norm_backward(g, x, 1e-6),
                "torch's rms backward": lambda: torch.ops.aten._fused_rms_norm_backward(
                    g, x, row, rstd, None, [True, False]),
            }
        times = {key: graphed(call) * 1e3 for key, call in calls.items()}
        print(f"{(rows, channels)} {name(dtype)} to {name(out)}: copy {copy * 1e3:.1f} us, "
              + ", ".join(f"{key} {t:.1f}" for key, t in times.items()), flush=True)


def main():
    torch.ops.load_library(sys.argv[1])
    sections = {"wavelets": wavelets, "seed": seed, "convolution": convolution, "long": long,
                "causal": causal, "swt": swt, "tree": tree, "taps": taps, "heads": heads, "relu": relu,
                "norms": norms}
    print(torch.cuda.get_device_name(), torch.__version__)
    for section in sys.argv[2:] or sections:
        sections[section](torch.ops.signalllm)


if __name__ == "__main__":
    main()
