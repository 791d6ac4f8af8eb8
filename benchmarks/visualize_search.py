"""The pictures of a search of `signalllm evolve`, for visualize.py."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

BEST, REFERENCE = "tab:red", "black"


def finished(search):
    """Those on the last rung whose loss is a number; the others cannot be compared."""
    return [one for one in search["individuals"]
            if one["rung"] + 1 == search["rungs"] and one["loss"] < 1e300]


def describe(search):
    kind = {"evolve": "evolution", "random": "random search"}[search["search"]]
    name = search["name"].replace("$", r"\$")
    return f"{name}: {kind}, {len(search['individuals'])} genomes, {search['steps']} steps of training"


def losses_axis(axes, search, ones):
    """Room for the reference and nine tenths of the genomes; the worst are at the upper edge."""
    losses = [one["loss"] for one in ones]
    low = min(losses)
    high = max(search["individuals"][0]["loss"], np.quantile(losses, 0.9))
    room = 0.08 * max(high - low, 1e-3 * low)
    axes.set_ylim(low - room, high + room)
    axes.set_ylabel("held-out loss (bits per byte)")
    axes.yaxis.get_major_formatter().set_useOffset(False)
    return high + room


def points(axes, x, ones, top, **style):
    losses = np.array([one["loss"] for one in ones])
    above = losses > top
    x = np.array(x, dtype=float)
    colors = np.array([one["generation"] + 1 for one in ones])
    for which, marker, values in ((~above, "o", losses), (above, "^", np.full_like(losses, top))):
        axes.scatter(x[which], values[which], c=colors[which], marker=marker, s=30, clip_on=False,
                     edgecolors="white", linewidths=0.4, zorder=3, **style)
    return int(above.sum())


def front(search):
    ones = finished(search)
    reference, best = search["individuals"][0], search["individuals"][search["best"]]
    generations = len(search["fronts"])
    style = {"cmap": "viridis", "norm": Normalize(1, max(generations, 2))}
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5.8), sharey=True)
    figure.suptitle("The front over the generations\n" + describe(search))
    top = losses_axis(left, search, ones)
    above = points(left, [one["cost"] for one in ones], ones, top, **style)
    drawn, edge = None, left.get_xlim()[1]
    for i, members in enumerate(search["fronts"]):
        if members != drawn:  # a front that stays is drawn once
            cost, loss = np.array(members).T
            left.step(np.append(cost, edge), np.append(loss, loss[-1]), where="post",
                      color=plt.get_cmap("viridis")(style["norm"](i + 1)), linewidth=1.4)
            drawn = members
    left.set_xlim(right=edge)
    left.xaxis.set_major_formatter("{x:,.0f}")
    points(right, [one["generation"] + 1 for one in ones], ones, top, **style)
    right.step(np.arange(1, generations + 1), search["best_losses"], where="post", color=BEST,
               label="best so far")
    for axes in (left, right):
        axes.axhline(reference["loss"], color=REFERENCE, linestyle="--", linewidth=1,
                     label=f"{reference['family']}, the reference")
    for axes, x in ((left, "cost"), (right, "generation")):
        shift = 1 if x == "generation" else 0
        for one, color, name in ((reference, REFERENCE, None), (best, BEST, "best in the end")):
            axes.plot(one[x] + shift, one["loss"], "*", color=color, markersize=15, zorder=4,
                      markeredgecolor="white", label=name)
    left.set_xlabel("cost (multiply-adds per token)")
    left.set_title("Loss and cost; lines: the front after a generation")
    right.set_xlabel("generation in which the genome was made")
    right.set_title("Loss and generation" + (
        f"; triangles: {above} genome{'s' if above > 1 else ''} above the edge" if above else ""))
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.legend(fontsize=9, loc="upper right")
    figure.colorbar(plt.cm.ScalarMappable(style["norm"], style["cmap"]), ax=right, pad=0.01,
                    label="generation", ticks=MaxNLocator(integer=True))
    return figure


def gains(filters):
    """Frequencies and the gain of every band at them: of the high-passes, the last low-pass."""
    frequencies = np.geomspace(2.0**-9, 0.5, 1500)

    def at(taps, dilation):
        turns = np.outer(frequencies * dilation, np.arange(len(taps)))
        return np.exp(-2j * np.pi * turns) @ np.array(taps)

    below, bands = np.ones(len(frequencies), dtype=complex), []
    for level, (low, high) in enumerate(zip(filters["low"], filters["high"])):
        bands.append(np.abs(below * at(high, 2**level)))
        below = below * at(low, 2**level)
    return frequencies, bands, np.abs(below)


def draw_taps(axes, banks, kind):
    same = all(bank == banks[0] for bank in banks)
    for level, taps in enumerate(banks[:1] if same else banks):
        axes.plot(taps, "o-", markersize=4, linewidth=1.2, color=REFERENCE if same else f"C{level}",
                  label="all levels" if same else f"level {level + 1}")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("tap k (tokens back, times $2^{level - 1}$)")
    axes.set_ylabel("weight (output / input)")
    axes.set_title(kind)
    axes.legend(fontsize=8)


def draw_bands(axes, filters):
    frequencies, bands, rest = gains(filters)
    for level, band in enumerate(bands):
        axes.plot(frequencies, band, color=f"C{level}", label=f"high-pass, level {level + 1}")
    axes.plot(frequencies, rest, color="tab:gray", linestyle="--", label=f"low-pass, level {len(bands)}")
    axes.set_xscale("log", base=2)
    ticks = [2.0**-k for k in range(9, 0, -2)]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"1/{round(1 / tick)}" for tick in ticks])
    axes.set_xlim(frequencies[0], frequencies[-1])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("frequency (cycles per token)")
    axes.set_ylabel("gain (output / input)")
    axes.set_title("Bands: levels in a row, gain over frequency")
    axes.legend(fontsize=8)


def filters(search):
    reference, best = search["individuals"][0], search["individuals"][search["best"]]
    figure = plt.figure(figsize=(14, 9))
    figure.suptitle("Filters of the best genome beside the reference's\n" + describe(search))
    rows = figure.subfigures(2, 1, hspace=0.02)
    for row, key, one, name in ((rows[0], "reference_filters", reference, f"{reference['family']}, the reference"),
                                (rows[1], "best_filters", best, f"genome {best['id']}, the best")):
        row.suptitle(f"{name}: {one['loss']:.4f} bits per byte, {one['cost']:,.0f} multiply-adds per token, "
                     f"in {one['places'].replace(',', ', ')}", fontweight="bold", fontsize=10)
        axes = row.subplots(1, 3, width_ratios=(1, 1, 1.25))
        draw_taps(axes[0], search[key]["low"], "Low-pass")
        draw_taps(axes[1], search[key]["high"], "High-pass")
        draw_bands(axes[2], search[key])
    return figure


def ancestors(search):
    found, left = set(), [search["best"]]
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left.extend(search["individuals"][one]["parents"])
    return found


def places_of(individuals, line):
    """A height for each genome: those of the line above the others, each near its parents'."""
    heights = {}
    for generation in sorted({one["generation"] for one in individuals}):
        mine = [one for one in individuals if one["generation"] == generation]
        mine.sort(key=lambda one: (one["id"] not in line,
                                   -np.mean([heights[p] for p in one["parents"]] or [-one["id"]])))
        for place, one in enumerate(mine):
            heights[one["id"]] = float(-place)
    return heights


def family(search):
    individuals = search["individuals"]
    if not any(one["parents"] for one in individuals):
        return None  # of chance
    line = ancestors(search)
    heights, known = places_of(individuals, line), set()
    rows = max(-h for h in heights.values()) + 1
    generations = len(search["fronts"])
    figure, axes = plt.subplots(figsize=(min(4 + 1.6 * generations, 18), 2.2 + 0.55 * rows))
    for one in individuals:
        for parent in set(one["parents"]):
            mine = one["id"] in line
            axes.plot([individuals[parent]["generation"] + 1, one["generation"] + 1],
                      [heights[parent], heights[one["id"]]], color=BEST if mine else "tab:gray",
                      linewidth=1.6 if mine else 0.6, alpha=0.9 if mine else 0.35, zorder=2 if mine else 1)
    judged = finished(search)
    losses = [one["loss"] for one in judged]
    reference = individuals[0]["loss"]
    norm = Normalize(min(losses), max(reference, np.quantile(losses, 0.8)))
    others = [one for one in individuals if one["rung"] + 1 < search["rungs"]]
    axes.scatter([one["generation"] + 1 for one in others], [heights[one["id"]] for one in others],
                 s=330, color="white", edgecolors="tab:gray", zorder=3, label="given up on a lower rung")
    image = axes.scatter([one["generation"] + 1 for one in judged], [heights[one["id"]] for one in judged],
                         c=losses, norm=norm, cmap="viridis_r", s=330, edgecolors="black", linewidths=0.6,
                         zorder=3, label="trained to the end")
    for one in individuals:
        shown = one["rung"] + 1 == search["rungs"] and one["loss"] < 1e300
        dark = shown and norm(one["loss"]) > 0.5
        axes.annotate(one["id"], (one["generation"] + 1, heights[one["id"]]), ha="center", va="center",
                      fontsize=8, color="white" if dark else "black", zorder=4)
        if not one["parents"]:
            name = one["family"] + (", mutated" if one["family"] in known else "")
            known.add(one["family"])
            axes.annotate(name, (one["generation"] + 1, heights[one["id"]]), (-13, 0),
                          textcoords="offset points", ha="right", va="center", fontsize=9)
    axes.scatter([individuals[one]["generation"] + 1 for one in line], [heights[one] for one in line], s=330,
                 facecolors="none", edgecolors=BEST, linewidths=2, zorder=5, label="the best's line of descent")
    best = individuals[search["best"]]
    axes.scatter([best["generation"] + 1], [heights[best["id"]]], s=620, facecolors="none",
                 edgecolors=BEST, linewidths=2, zorder=5, label="the best")
    axes.set_xlim(0.2, generations + 0.5)
    axes.set_ylim(-rows + 0.3, 0.7)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=20, integer=True))
    axes.yaxis.set_major_locator(NullLocator())
    axes.grid(False)
    axes.set_xlabel("generation")
    axes.set_ylabel("genomes of the generation (numbers: their ids)")
    axes.set_title("Who descends from whom\n" + describe(search))
    figure.colorbar(image, ax=axes, pad=0.01, extend="max", label="held-out loss (bits per byte)",
                    format="{x:.3f}")
    figure.legend(*axes.get_legend_handles_labels(), fontsize=9, ncols=4, loc="outside lower center",
                  markerscale=0.6)
    return figure


def pictures(search):
    return {"search_front": (front, search), "search_filters": (filters, search),
            "search_family": (family, search)}
