"""Training speed of the demonstration's model, tokens a second on the CPU: by
`signalllm train`, as a rebuild of plain PyTorch operators in eager mode, and
beside them an eager transformer of the same width and depth:

    python3 benchmarks/eager.py --program build/release/signalllm --data book.txt

All take the same batches' shape, threads and recipe (AdamW, clipping, averaged
weights). The rebuild gets the program's weights first and must give the loss of
`signalllm eval` with them, so that it is the same model. Rounds alternate between
the three, because other work on the machine comes and goes; `other` is the CPUs
that it took. One JSON object a round, then the medians of the rounds' ratios.
"""

import argparse
import json
import math
import os
import pathlib
import resource
import statistics
import subprocess
import tempfile
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

WIDTH, LAYERS, HEADS, CONTEXT, BATCH, BYTES = 128, 4, 4, 128, 8, 256
ATTENDING = WIDTH // HEADS  # one head of four
CONVOLVING = WIDTH - ATTENDING
TERMS = 16


def rotate(x):
    half = x.shape[-1] // 2
    rate = 10000.0 ** (-torch.arange(half) / half)
    angle = torch.arange(x.shape[-2]).unsqueeze(1) * rate
    cosine, sine = angle.cos(), angle.sin()
    a, b = x.chunk(2, -1)
    return torch.cat((a * cosine - b * sine, a * sine + b * cosine), -1)


def attend(qkv, heads):
    batch, length, width = qkv.shape
    q, k, v = qkv.view(batch, length, 3, heads, width // 3 // heads).permute(2, 0, 3, 1, 4)
    mixed = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
    return mixed.transpose(1, 2).reshape(batch, length, width // 3)


class Filter(torch.nn.Module):
    """Three causal taps a channel; tap 0 is the present."""

    def __init__(self, channels):
        super().__init__()
        self.taps = torch.nn.Parameter(torch.eye(3)[0].repeat(channels, 1))

    def forward(self, x):
        padded = F.pad(x.transpose(1, 2), (2, 0))
        taps = self.taps.flip(1).unsqueeze(1)
        return F.conv1d(padded, taps, groups=taps.shape[0]).transpose(1, 2)


class Attention(torch.nn.Module):
    def __init__(self, width, heads, filtered):
        super().__init__()
        self.heads = heads
        self.in_proj = torch.nn.Linear(WIDTH, 3 * width, bias=False)
        self.out_proj = torch.nn.Linear(width, WIDTH, bias=False)
        self.filter = Filter(3 * width) if filtered else torch.nn.Identity()

    def forward(self, u):
        return self.out_proj(attend(self.filter(self.in_proj(u)), self.heads))


class Fourier(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.in_proj = torch.nn.Linear(WIDTH, 3 * CONVOLVING, bias=False)
        self.out_proj = torch.nn.Linear(CONVOLVING, WIDTH, bias=False)
        self.filter = Filter(3 * CONVOLVING)
        self.kernel_terms = torch.nn.Parameter(0.1 * torch.randn(2 * TERMS + 1, CONVOLVING))
        self.log_decay = torch.nn.Parameter(torch.zeros(CONVOLVING))
        self.skip = torch.nn.Parameter(torch.ones(CONVOLVING))
        self.register_buffer("frequency", torch.ones(CONVOLVING))

    def kernel(self, length):
        t = torch.arange(length).unsqueeze(1) / CONTEXT
        m = torch.arange(TERMS + 1)
        angle = math.pi * t.unsqueeze(1) * m.unsqueeze(1) * self.frequency
        constant_and_cosines, sines = self.kernel_terms.split((TERMS + 1, TERMS))
        waves = (angle.cos() * constant_and_cosines).sum(1)
        waves = waves + (angle[:, 1:].sin() * sines).sum(1)
        return torch.exp(-t * self.log_decay.exp()) * waves

    def forward(self, u):
        q, k, v = self.filter(self.in_proj(u)).chunk(3, -1)
        gated = k * v
        length = u.shape[1]
        spectrum = torch.fft.rfft(gated, 2 * length, 1) * torch.fft.rfft(
            self.kernel(length), 2 * length, 0)
        mixed = torch.fft.irfft(spectrum, 2 * length, 1)[:, :length]
        mixed = q * (mixed + self.skip * gated)
        return self.out_proj(F.rms_norm(mixed, (CONVOLVING,), eps=1e-6))


class FeedForward(torch.nn.Module):
    def __init__(self, spectral):
        super().__init__()
        self.in_proj = torch.nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.out_proj = torch.nn.Linear(4 * WIDTH, WIDTH, bias=False)
        self.gain = torch.nn.Parameter(torch.ones(2 * WIDTH + 1)) if spectral else None

    def forward(self, u):
        weight = self.out_proj.weight
        if self.gain is not None:
            weight = torch.fft.irfft(torch.fft.rfft(weight) * self.gain, 4 * WIDTH)
        return F.linear(F.relu(self.in_proj(u)).square(), weight)


class Block(torch.nn.Module):
    def __init__(self, spectral):
        super().__init__()
        self.mixer_norm = torch.nn.LayerNorm(WIDTH)
        self.feed_forward_norm = torch.nn.LayerNorm(WIDTH)
        if spectral:
            self.attention = Attention(ATTENDING, 1, True)
            self.fourier = Fourier()
        else:
            self.attention = Attention(WIDTH, HEADS, False)
            self.fourier = None
        self.feed_forward = FeedForward(spectral)

    def forward(self, x):
        u = self.mixer_norm(x)
        x = x + (self.attention(u) + self.fourier(u) if self.fourier else self.attention(u))
        return x + self.feed_forward(self.feed_forward_norm(x))


class Embedding(torch.nn.Module):
    def __init__(self, spectral):
        super().__init__()
        self.coefficients = torch.nn.Parameter(0.02 * torch.randn(BYTES, WIDTH))
        if spectral:
            self.register_buffer("basis", torch.eye(WIDTH))
        self.spectral = spectral

    def forward(self):
        return self.coefficients @ self.basis if self.spectral else self.coefficients


class Model(torch.nn.Module):
    def __init__(self, spectral):
        super().__init__()
        self.embedding = Embedding(spectral)
        self.blocks = torch.nn.ModuleList(Block(spectral) for _ in range(LAYERS))
        self.norm = torch.nn.LayerNorm(WIDTH)

    def forward(self, tokens):
        table = self.embedding()
        x = F.embedding(tokens, table)
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), table)


def token_loss(model, inputs, targets):
    return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())


class Training:
    """The steps of one eager model."""

    def __init__(self, model, data):
        self.model, self.data = model, data
        matrices = [p for p in model.parameters() if p.dim() > 1]
        others = [p for p in model.parameters() if p.dim() <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
            lr=3e-3, betas=(0.9, 0.99), fused=True)
        self.average = [p.detach().clone() for p in model.parameters()]

    def step(self):
        starts = torch.randint(len(self.data) - CONTEXT - 1, (BATCH, 1))
        windows = self.data[starts + torch.arange(CONTEXT + 1)].long()
        token_loss(self.model, windows[:, :-1], windows[:, 1:]).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        with torch.no_grad():
            torch._foreach_lerp_(self.average, list(self.model.parameters()), 1e-3)

    def speeds(self, steps, group=5):
        """Tokens a second of groups of steps, the first left out."""
        speeds = []
        for _ in range(steps // group):
            start = time.perf_counter()
            for _ in range(group):
                self.step()
            speeds.append(group * BATCH * CONTEXT / (time.perf_counter() - start))
        return speeds[1:]


def train(args, folder, steps, *more):
    subprocess.run(
        [args.program, "train", "--data", args.data, "--extensions", "*", "--out", str(folder),
         "--context", str(CONTEXT), "--batch", str(BATCH), "--lr", "3e-3", "--device", "cpu",
         "--threads", str(args.threads), "--steps", str(steps), "--report-every", "5",
         "--evaluate-every", "0", "--checkpoint-every", "0", "--attention", "0.25",
         "--model", "qk_norm=false", *more],
        check=True, stdout=subprocess.DEVNULL, env={**os.environ, "SIGNALLLM_PYTHON": "true"})
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line["tokens_per_second"] for line in lines if "tokens_per_second" in line][1:]


def check_same_model(args, model, text, folder):
    """Loads the weights of a short run; its loss must be that of the program."""
    held_out = text[-20000:]
    valid = folder.with_suffix(".txt")
    valid.write_bytes(bytes(held_out.tolist()))
    train(args, folder, 20, "--average", "0", "--valid", str(valid))
    weights = load_file(next(folder.glob("checkpoint-*")) / "model.safetensors")
    model.load_state_dict(weights)
    scored = subprocess.run(
        [args.program, "eval", "--run", str(folder), "--device", "cpu", "--json"],
        check=True, capture_output=True, text=True).stdout
    expected = json.loads(scored)["loss"]
    count = (len(held_out) - 1) // CONTEXT * CONTEXT
    with torch.no_grad():
        inputs, targets = (part.view(-1, CONTEXT).long()
                           for part in (held_out[:count], held_out[1: count + 1]))
        loss = token_loss(model, inputs, targets).item()
    if abs(loss - expected) > 1e-5:
        raise SystemExit(f"the rebuild is another model: {loss} nats, not {expected}")
    print(json.dumps({"loss": expected, "rebuild": loss}), flush=True)


def busy():
    with open("/proc/stat") as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def mine():
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--data", required=True, help="one file")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=40, help="a round")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    text = torch.frombuffer(
        bytearray(pathlib.Path(args.data).read_bytes()), dtype=torch.uint8)
    rebuild, transformer = Model(spectral=True), Model(spectral=False)
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        check_same_model(args, rebuild, text, place / "check")
        eager = {"rebuild": Training(rebuild, text), "transformer": Training(transformer, text)}
        ratios = {name: [] for name in eager}
        for number in range(args.rounds):
            before = busy(), mine(), time.time()
            speeds = {"signalllm": train(args, place / str(number), args.steps)}
            for name, training in eager.items():
                speeds[name] = training.speeds(args.steps)
            round_ = {name: round(statistics.median(values)) for name, values in speeds.items()}
            wall = time.time() - before[2]
            round_["other"] = round((busy() - before[0] - (mine() - before[1])) / wall, 2)
            print(json.dumps(round_), flush=True)
            for name in eager:
                ratios[name].append(round_["signalllm"] / round_[name])
    print(json.dumps({
        "threads": args.threads,
        "parameters": {name: sum(p.numel() for p in training.model.parameters())
                       for name, training in eager.items()},
        "signalllm_over": {name: round(statistics.median(values), 2)
                           for name, values in ratios.items()}}))


if __name__ == "__main__":
    main()
