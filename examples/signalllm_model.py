"""A model that `signalllm export` wrote, in Python: its forward pass from the
operators of the library and plain torch, to read, check and build on.

    torch.ops.load_library("build/release/libsignalllm.so")
    config, weights = load("book")
    logits = forward(config, weights, tokens)       # [B, T] -> [B, T, V]

It has what the default model is made of, attention over a tree and the options
of both; others raise NotImplementedError. docs/export.md describes the files,
docs/modules.md the formulas.
"""
import json
import math
import pathlib

import torch
import torch.nn.functional as F

ops = torch.ops.signalllm

# Of these options only the defaults are here.
ONLY = {"attention": "wavelet", "opened": 0, "absolute_positions": False, "adaptive_basis": False}


def load(folder):
    """(config, weights) of an exported model; the weights in float32."""
    from safetensors.torch import load_file

    folder = pathlib.Path(folder)
    config = json.loads((folder / "config.json").read_text())
    for name, value in ONLY.items():
        if config[name] != value:
            raise NotImplementedError(f"{name}={config[name]}")
    filters = {config.get(part) for part in ("attention_filter", "fourier_filter", "feed_forward")}
    if filters & {"wavelet", "causal_wavelet"}:
        raise NotImplementedError("filters of wavelets")
    weights = load_file(folder / "model.safetensors")
    return config, {name: tensor.float() for name, tensor in weights.items()}


def forward(config, weights, tokens):
    """The logits [B, T, V] after each of the tokens [B, T]."""
    table = embedding(weights)
    x = table[tokens]
    for layer in runs(config["layers"], config.get("passes", 1)):
        x = block(config, part(weights, f"blocks.{layer}."), x)
    return layer_norm(part(weights, "norm."), x) @ table.T


def runs(layers, passes):
    """The block at each place: the middle half of them comes `passes` times."""
    blocks = list(range(layers))
    first = layers // 4
    return blocks[:first] + passes * blocks[first:layers - first] + blocks[layers - first:]


def part(weights, prefix):
    """The tensors of one module, under their names in it."""
    return {name.removeprefix(prefix): t for name, t in weights.items() if name.startswith(prefix)}


def embedding(weights):
    """E [V, D]: the rows of a Fourier basis, mixed; `hybrid` adds a table."""
    if "embedding.basis" in weights:
        return weights["embedding.coefficients"] @ weights["embedding.basis"]
    hybrid = part(weights, "hybrid_embedding.")
    spectral = hybrid["spectral.coefficients"] @ hybrid["spectral.basis"]
    return hybrid["table"].lerp(spectral, hybrid["mix"].sigmoid())


def layer_norm(weights, x):
    return F.layer_norm(x, x.shape[-1:], weights["weight"], weights["bias"])


def block(config, weights, x):
    heads = config["heads"]
    attending = math.floor(config["attention_fraction"] * heads + 0.5)
    u = layer_norm(part(weights, "mixer_norm."), x)
    if attending > 0:
        x = x + attention(config, part(weights, "attention."), attending, u)
    if attending < heads:
        x = x + fourier(config, part(weights, "fourier."), u)
    u = layer_norm(part(weights, "feed_forward_norm."), x)
    return x + feed_forward(config, part(weights, "feed_forward."), u)


def short_filter(weights, x):
    """A few causal taps a channel, where there are some."""
    return ops.causal_filter(x, weights["filter.taps"]) if "filter.taps" in weights else x


def attention(config, weights, heads, x):
    """Queries, keys and values, filtered; attention to all of the past, or to a
    tree of it where it is longer than two windows."""
    x = short_filter(weights, F.linear(x, weights["in_proj.weight"]))
    base = 10000.0 if config["rotary"] else None
    epsilon = 1e-6 if config["qk_norm"] else None
    q, k, v = ops.attention_heads(x, heads, base, 0, epsilon)   # [B, H, T, d]
    window = config["window"]
    if window > 0 and x.shape[1] > 2 * window:
        y, _ = ops.tree_attention(q, k, v, window)
    else:
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return F.linear(y.transpose(1, 2).flatten(2), weights["out_proj.weight"])


def fourier(config, weights, x):
    """A long convolution, gated before and behind; its kernel is a sum of damped
    waves over the time `max_length`."""
    x = short_filter(weights, F.linear(x, weights["in_proj.weight"]))
    gate_out, gate_in, value = x.chunk(3, -1)
    taps = ops.fourier_taps(
        weights["kernel_terms"], weights["log_decay"], weights["frequency"], x.shape[1], config["max_length"])
    y = ops.gated_fft_conv(value, gate_in, gate_out, taps, weights["skip"])
    if config["fourier_norm"]:
        y = ops.rms_norm(y, 1e-6)
    return F.linear(y, weights["out_proj.weight"])


def feed_forward(config, weights, x):
    """Two products; between them a gain for each harmonic over the channels,
    which is one with the second (`channel`), or a filter in time."""
    x = short_filter(weights, F.linear(x, weights["in_proj.weight"]))
    x = ops.squared_relu(x) if config["activation"] == "squared_relu" else F.gelu(x)
    out = weights["out_proj.weight"]
    if "gain" in weights:
        out = torch.fft.irfft(torch.fft.rfft(out) * weights["gain"], out.shape[1])
    return F.linear(x, out)
