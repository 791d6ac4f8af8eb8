"""Draws what `signalllm visualize` computed: visualize.py NUMBERS.json FOLDER

visualize.py --check only looks whether it could.
"""

import json
import os
import sys

try:
    import matplotlib
    import numpy as np
except ImportError as error:
    sys.exit(f"{error.name} is not installed (pip install {error.name})")
matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.colors import LogNorm
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator

STANDARD, OPTIMIZED = "tab:gray", "tab:blue"
matplotlib.rcParams.update({
    "figure.dpi": 100, "savefig.dpi": 100, "figure.constrained_layout.use": True,
    "font.size": 10, "axes.titlesize": 11,
    "axes.grid": True, "grid.alpha": 0.3, "axes.axisbelow": True,
})


def lengths_axis(axes, lengths):
    """A logarithmic x axis with the lengths, and only them, as ticks."""
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(lengths))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{n:,}" for n in lengths])
    axes.set_xlabel("length of the signal (samples)")


def plain_log(axes):
    """A logarithmic y axis with numbers such as 0.5 or 20."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")


def signal(data):
    length, bands = data["length"], data["bands"]
    levels = len(bands) - 1
    figure, axes = plt.subplots(levels + 3, sharex=True, figsize=(9, 8.5))
    figure.suptitle(
        f"A chirp with a step and a click in {levels} levels of db4, {length:,} samples, reflected at its ends"
    )
    axes[0].plot(data["signal"], color="black", linewidth=1)
    axes[0].set_ylabel("signal\n(amplitude)")
    names = [f"A{levels}"] + [f"D{j}" for j in range(levels, 0, -1)]
    steps = [levels] + list(range(levels, 0, -1))
    for ax, name, level, band in zip(axes[1:], names, steps, bands):
        # The middle of what a coefficient sees: index i of a level is
        # 2 i + 1 - (8 - 1) / 2 of the level below.
        times = np.arange(len(band)) * 2.0**level - 2.5 * (2**level - 1)
        ax.vlines(times, 0, band, color="tab:blue", linewidth=1)
        ax.plot(times, band, ".", color="tab:blue", markersize=3)
        ax.axhline(0, color="black", linewidth=0.6)
        ax.set_ylabel(f"{name}\n(amplitude)")
    axes[-1].plot(np.array(data["error"]) * 1e7, color="tab:red", linewidth=0.8)
    axes[-1].set_ylabel("error after\nreconstruction\n(1e-7)")
    axes[-1].set_xlabel("time (samples)")
    figure.align_ylabels(axes)
    return figure


def errors(data, device):
    rows = data["transforms"]["errors"]
    figure, axes = plt.subplots(figsize=(8.5, 5.2))
    for i, name in enumerate(dict.fromkeys(r["wavelet"] for r in rows)):
        mine = [r for r in rows if r["wavelet"] == name]
        x = [r["length"] for r in mine]
        for key, style in (("standard", "o--"), ("optimized", "s-")):
            axes.plot(x, [r[key] for r in mine], style, color=f"C{i}", markersize=5,
                      label=f"{name}, {key}")
    axes.axhline(2**-24, color="black", linewidth=1, label="half a unit at 1, float32")
    axes.set_yscale("log")
    lengths_axis(axes, x)
    axes.set_ylabel("largest error of a sample\n(signal: standard deviation 1)")
    axes.set_title(f"Error of transform and inverse, float32, 8 x length x 128, reflect\non {device}")
    axes.set_ylim(top=axes.get_ylim()[1] * 4)
    axes.legend(ncols=3, fontsize=8.5, loc="upper center")
    return figure


def comparison(data, device):
    rows = data["transforms"]["operators"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5.8), width_ratios=(1.25, 1))
    where = np.arange(len(rows))
    for shift, key, color in ((-0.2, "standard", STANDARD), (0.2, "optimized", OPTIMIZED)):
        forward = np.array([r[key]["forward"] for r in rows])
        backward = np.array([r[key]["backward"] for r in rows])
        left.barh(where + shift, forward, 0.38, color=color, label=f"{key}, forward")
        left.barh(where + shift, backward, 0.38, left=forward, color=color, alpha=0.45,
                  label=f"{key}, backward")
        for y, a, b in zip(where + shift, forward, backward):
            left.text(a + b, y, f" {a} + {b}", va="center", fontsize=9)
    left.set_yticks(where, [r["name"] for r in rows])
    left.invert_yaxis()
    left.set_xlim(right=left.get_xlim()[1] * 1.12)
    left.set_xlabel("operators dispatched a call (count)")
    left.set_title("What a GPU would launch: operators,\na count on the CPU")
    left.legend(fontsize=9, ncols=4, loc="upper center", bbox_to_anchor=(0.4, -0.12))
    times(right, data, device)
    figure.suptitle(
        "Standard and MPS-optimized modules" + ("" if data["apple"] else "; no Apple GPU ran here"))
    return figure


def times(axes, data, device):
    rows = data["transforms"]["times"]
    x = [r["length"] for r in rows]
    for key, color in (("standard", STANDARD), ("optimized", OPTIMIZED)):
        axes.plot(x, [1e3 * r[key] for r in rows], "o-", color=color, label=key)
        axes.plot(x, [1e3 * r[key + "_gradients"] for r in rows], "^--", color=color,
                  label=f"{key}, with gradients")
    lengths_axis(axes, x)
    plain_log(axes)
    axes.set_ylabel("time of transform and inverse (ms)")
    axes.set_title(f"WaveletTransform, db4, 3 levels, 8 x length x 128\non {device}", fontsize=10)
    axes.legend(fontsize=9)


def speedup(data, device):
    rows = data["transforms"]["times"]
    x = [r["length"] for r in rows]
    figure, axes = plt.subplots(figsize=(8.5, 5.2))
    ratios = [[r["standard" + key] / r["optimized" + key] for r in rows] for key in ("", "_gradients")]
    axes.plot(x, ratios[0], "o-", label="time, transform and inverse")
    axes.plot(x, ratios[1], "^-", label="time, with gradients")
    for n, *pair in zip(x, *ratios):
        for value, shift in zip(sorted(pair), (-15, 7)):
            axes.annotate(f"{value:.1f}", (n, value), (0, shift),
                          textcoords="offset points", ha="center", fontsize=9)
    title = f"WaveletTransform over MPSWaveletTransform\ntimes on {device}"
    if not data["apple"]:
        counts = data["transforms"]["operators"][0]
        for keys, label, style in (
            (("forward",), "operators, transform and inverse", "--"),
            (("forward", "backward"), "operators, with gradients", ":"),
        ):
            standard, optimized = (sum(counts[m][k] for k in keys) for m in ("standard", "optimized"))
            ratio = standard / optimized
            axes.axhline(ratio, color="black", linestyle=style, label=f"{label}: {ratio:.1f}")
        title += "\nno Apple GPU ran here: launches are operators counted on the CPU"
    axes.axhline(1, color="tab:gray", linewidth=0.8)
    lengths_axis(axes, x)
    plain_log(axes)
    axes.set_ylim(bottom=0.7, top=axes.get_ylim()[1] * 2.5)
    axes.set_ylabel("standard / optimized (ratio)")
    axes.set_title(title)
    axes.legend(fontsize=9, ncols=2, loc="upper center")
    return figure


def attention(data, name):
    names, window = data["tokens"], data["window"]
    weights = np.array(data["weights"])
    count = len(names)
    figure, (top, bottom) = plt.subplots(
        2, 1, sharex=True, figsize=(10.5, 11.5), height_ratios=(6, 1))
    shown = np.ma.masked_where(np.triu(np.ones_like(weights), 1) > 0, weights)
    image = top.imshow(shown.clip(1e-3, 1), norm=LogNorm(1e-3, 1), aspect="auto")
    top.grid(False)
    ticks = {"fontsize": 8, "family": "monospace", "parse_math": False}
    top.set_yticks(range(count), names, **ticks)
    bottom.set_xticks(range(count), names, **ticks)
    top.tick_params(labelbottom=False, length=2)
    bottom.tick_params(length=2)
    top.set_ylabel("position that looks (token)")
    trained = {window: "as trained", 0: "trained dense"}.get(
        data["trained_window"], f"trained with a window of {data['trained_window']}")
    heads = "one head" if data["heads"] == 1 else f"mean of {data['heads']} heads"
    top.set_title(f"Attention over the tree, window {window} ({trained}), "
                  f"layer {data['layer']}, {heads}\n{name}")
    figure.colorbar(image, ax=top, label="weight of a position (share of 1)", pad=0.01)
    bottom.bar(range(count), weights[-1], width=0.9, color="tab:blue")
    bottom.set_ylabel("weight from the last\nposition (share of 1)")
    bottom.set_xlabel("position looked at (token); those of one node share its weight")
    return figure


def response(taps):
    size = max(512, len(taps))
    return np.fft.rfftfreq(size), np.abs(np.fft.rfft(taps, size))


def draw_filters(row, data):
    channels = [int(c) for c in data["channels"]]
    wavelet = data["kind"] == "wavelet"
    began = data["wavelet"] if wavelet else "the identity"
    sets = [("low", "low-pass", "-", "o")] + ([("high", "high-pass", ":", "s")] if wavelet else [])
    for key, name, style, marker in sets:
        for i, taps in enumerate(data[key]):
            label = f"channel {channels[i]}" if key == "low" else None
            row[0].plot(taps, style, marker=marker, markersize=3.5, color=f"C{i}", label=label)
            row[1].plot(*response(taps), style, color=f"C{i}")
        start = data["start_" + key]
        row[0].plot(start, style, marker=marker, markersize=3.5, color="black", label=f"{began}, {name}")
        row[1].plot(*response(start), style, color="black", linewidth=2)
    row[0].set_xlabel("delay (tokens)")
    row[0].set_ylabel("weight (output / input)")
    row[0].set_title(f"Filter of layer 1: the {len(channels)} channels that moved\nfarthest from {began} (black)")
    row[0].legend(fontsize=8)
    row[1].set_title("The same over frequency" + ("\n(solid low-pass, dotted high-pass)" if wavelet else ""))


def draw_kernels(row, data):
    for i, (channel, values) in enumerate(zip(data["channels"], data["values"])):
        row[0].plot(values, color=f"C{i}", label=f"channel {int(channel)}", linewidth=1.2)
        row[1].plot(*response(values), color=f"C{i}")
    row[0].set_xlabel("delay (tokens)")
    row[0].set_ylabel("weight (output / input)")
    row[0].set_title("Fourier kernels of layer 1, from the slowest\nto the fastest decay")
    row[0].legend(fontsize=8)
    row[1].set_title("The same over frequency")
    plain_log(row[1])


def learned(data, name):
    parts = [(k, f) for k, f in (("filters", draw_filters), ("kernels", draw_kernels)) if data[k]]
    if not parts:
        return None
    figure, axes = plt.subplots(len(parts), 2, squeeze=False, figsize=(11, 1 + 4.2 * len(parts)))
    figure.suptitle(f"Learned filters: {name}")
    for row, (key, draw) in zip(axes, parts):
        draw(row, data[key])
        row[1].set_xlabel("frequency (cycles per token)")
        row[1].set_ylabel("gain (output / input)")
    return figure


def embedding(data, name):
    amplitude, phase = np.array(data["amplitude"]), np.array(data["phase"])
    figure, axes = plt.subplots(1, 2, sharey=True, figsize=(12, 2 + 0.2 * len(amplitude)))
    figure.suptitle(f"Spectral embedding of the {len(amplitude)} most frequent tokens: {name}")
    # An image with the harmonics k = 1..B at their numbers.
    extent = (0.5, amplitude.shape[1] + 0.5, len(amplitude) - 0.5, -0.5)
    for ax, values, title, label, style in (
        (axes[0], amplitude, "Amplitude", "amplitude (of the quadratures)", {"vmin": 0}),
        (axes[1], phase, "Phase", "phase (radians)",
         {"cmap": "twilight", "vmin": -np.pi, "vmax": np.pi}),
    ):
        image = ax.imshow(values, aspect="auto", extent=extent, interpolation="nearest", **style)
        figure.colorbar(image, ax=ax, label=label, pad=0.02)
        ax.grid(False)
        ax.set_title(title)
        ax.set_xlabel(f"harmonic (cycles over the {data['width']} entries)")
    axes[0].set_yticks(range(len(amplitude)), data["tokens"], fontsize=9, family="monospace",
                       parse_math=False)
    axes[0].set_ylabel("token")
    return figure


def pictures(data):
    """Names, and the functions that draw with their arguments."""
    if "search" in data:
        import visualize_search

        return visualize_search.pictures(data["search"])
    device, model = data["device"], data["model"]
    name = model["name"].replace("$", r"\$")
    found = {
        f"wavelet_visualization_{s['length']}": (signal, s) for s in data["transforms"]["signals"]
    }
    found["wavelet_reconstruction_errors"] = (errors, data, device)
    found["mps_implementation_comparison"] = (comparison, data, device)
    found["mps_wavelet_speedup"] = (speedup, data, device)
    found["learned_filters"] = (learned, model, name)
    found["spectral_embedding"] = (embedding, model["embedding"], name)
    if model["attention"]:
        found["tree_attention"] = (attention, model["attention"], name)
    return found


def main(numbers, folder):
    with open(numbers, encoding="utf-8") as file:
        data = json.load(file)
    for name, (draw, *arguments) in pictures(data).items():
        figure = draw(*arguments)
        if figure is not None:
            figure.savefig(os.path.join(folder, name + ".png"))
            plt.close(figure)


if __name__ == "__main__":
    if sys.argv[1:] != ["--check"]:
        if len(sys.argv) != 3:
            sys.exit(__doc__)
        main(*sys.argv[1:])
