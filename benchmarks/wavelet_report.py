"""Text, table and picture of what wavelets.py measured."""

# What is compared: name, over, under, goal (at most or at least), by length.
COPY = {64: 4.0, 128: 3.0, 256: 2.3, 512: 2.3, 1024: 2.3, 4096: 1.3}
COPY_BACK = {64: 4.0, 128: 3.0, 256: 2.5, 512: 2.5, 1024: 2.5, 4096: 1.6}
ROWS = {64: 500, 128: 350, 256: 220, 512: 130, 1024: 90}
COMPILE = {64: 2.5, 128: 2.5, 256: 2.5, 512: 4, 1024: 4}
# Signals of one channel have goals of their own.
MONO = {"wavedec.out / copy": 2.5, "waverec.out / copy": 2.5,
        "vectorised PyWavelets / ours": 20}
SLICES = "torch.compile of slices, both ways"
RATIOS = [
    ("wavedec.out / copy", "wavedec.out", "copy", "<=", COPY),
    ("waverec.out / copy", "waverec.out", "copy", "<=", COPY_BACK),
    ("wavedec / clone", "wavedec", "clone", "<=", {4096: 1.2}),
    ("gradient of the input / wavedec", "wavedec's gradient of the input",
     "wavedec", "<=", 1.3),
    ("gradient of the input / waverec", "waverec's gradient of the input",
     "waverec", "<=", 1.3),
    ("torch.compile / ours, both ways", SLICES, "both ways", ">=", COMPILE),
    ("torch.compile / ours, both ways, with gradients",
     SLICES + ", with gradients", "both ways, with gradients", ">=", 5),
    ("ptwt / ours", "ptwt", "wavedec", ">=", 30),
    ("ptwt / ours, with gradients", "ptwt, with gradients",
     "wavedec, with gradients", ">=", 30),
    ("vectorised PyWavelets / ours", "pywt, vectorised", "wavedec", ">=", 30),
    ("PyWavelets row by row / ours, both ways", "pywt, row by row, both ways",
     "both ways", ">=", ROWS),
    ("torchwavelets / ours", "torchwavelets", "wavedec", "", None),
    ("slices / ours, both ways", "slices, both ways", "both ways", "", None),
    ("composite / ours", "composite", "wavedec", "", None),
]


def length(r):
    return int(r["shape"].split("x")[1])


def order(r):
    return r["shape"].endswith("x1"), length(r)


def ratios(r):
    """(name, ratio, goal as text, whether it is met) of one result."""
    t, out = r["seconds"], []
    for name, over, under, sense, goal in RATIOS:
        if over not in t or under not in t:
            continue
        value = t[over] / t[under]
        if r["shape"].endswith("x1"):
            goal = MONO.get(name)
        elif isinstance(goal, dict):
            goal = goal.get(length(r)) if r["wavelet"] == "db4" else None
        met = goal is None or (value <= goal if sense == "<=" else value >= goal)
        out.append((name, value, f"{sense} {goal}" if goal else "", met))
    # Forward again and both gradients, over forward.
    both = (t["wavedec's gradient of the input"]
            + t["wavedec's gradient of the filters"]) / t["wavedec"]
    out.append(("gradients of input and filters / wavedec", both, "<= 2.5",
                both <= 2.5))
    if r["extra_bytes"] is not None:
        mib = r["extra_bytes"] / 2**20 / r["threads"]
        out.append(("extra memory, MiB a thread", mib, "<= 1", mib <= 1))
    return out


def text(r):
    t = r["seconds"]
    lines = [f"{r['wavelet']} {r['shape']}, {r['threads']} thread(s): "
             f"copy {t['copy'] * 1e6:.1f} us, clone {t['clone'] * 1e6:.1f} us"]
    for name, value, goal, met in ratios(r):
        lines.append(f"  {name:48} {value:8.2f}  {goal}{'' if met else '  missed'}")
    return "\n".join(lines)


def table(results, threads, wavelet="db4"):
    cases = sorted((r for r in results if r["threads"] == threads
                    and r["wavelet"] == wavelet), key=order)
    if not cases:
        return ""
    rows = {}
    for r in cases:
        for name, value, goal, met in ratios(r):
            cell = f"{value:.2f}" if value < 100 else f"{value:.0f}"
            cell += f" ({goal})" if goal and not met else ""
            rows.setdefault(name, {})[r["shape"]] = cell
    head = "| | " + " | ".join(r["shape"] for r in cases) + " |"
    lines = [head, "| --- |" + " --- |" * len(cases)]
    us = "| {}, microseconds | " + " | ".join(["{:.1f}"] * len(cases)) + " |"
    for name in ("copy", "wavedec.out", "waverec.out"):
        lines.append(us.format(name, *(r["seconds"][name] * 1e6 for r in cases)))
    for name, cells in rows.items():
        lines.append(f"| {name} | " + " | ".join(
            cells.get(r["shape"], "") for r in cases) + " |")
    return "\n".join(lines) + "\n"


def scaling(results):
    lines = ["| one thread / two threads | copy | wavedec.out | waverec.out |",
             "| --- | --- | --- | --- |"]
    by = {(r["shape"], r["threads"]): r["seconds"] for r in results
          if r["wavelet"] == "db4"}
    for shape, threads in sorted(by, key=lambda k: int(k[0].split("x")[1])):
        if threads == 1 and (shape, 2) in by:
            one, two = by[shape, 1], by[shape, 2]
            lines.append(f"| {shape} | " + " | ".join(
                f"{one[n] / two[n]:.2f}"
                for n in ("copy", "wavedec.out", "waverec.out")) + " |")
    return "\n".join(lines) + "\n" if len(lines) > 2 else ""


def write(results, stem):
    parts = ["Ratios of medians; a goal in brackets is one that was missed.\n"]
    for threads in (1, 2):
        t = table(results, threads)
        if t:
            parts.append(f"db4, three levels, reflect, float32, {threads} "
                         f"thread{'s' * (threads > 1)}\n\n{t}")
    parts.append(scaling(results))
    for w in dict.fromkeys(r["wavelet"] for r in results):
        if w != "db4":
            parts.append(f"{w}, 1 thread\n\n{table(results, 1, w)}")
    stem.with_suffix(".md").write_text("\n".join(filter(None, parts)))
    picture(results, stem.with_suffix(".png"))


def picture(results, path):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    cases = sorted((r for r in results if r["threads"] == 1
                    and r["wavelet"] == "db4" and "ptwt" in r["seconds"]),
                   key=order)
    if not cases:
        return
    figure, axes = plt.subplots(figsize=(7.5, 4.8), dpi=120)
    for name, style in [
            ("wavedec.out", "o-"), ("wavedec", "o--"), ("composite", "s:"),
            ("ptwt", "^-"), ("torchwavelets", "v-"), ("pywt, vectorised", "x-"),
            (SLICES, "d-"), ("both ways", "o-."),
            ("pywt, row by row, both ways", "+-")]:
        points = [(r["shape"], r["seconds"][name] / r["seconds"]["copy"])
                  for r in cases if name in r["seconds"]]
        if points:
            axes.plot(*zip(*points), style, label=name)
    axes.axhline(1, color="black", linewidth=1, label="copy of the same bytes")
    axes.set_yscale("log")
    axes.set_ylabel("time / copy")
    axes.set_xlabel("batch x length x channels, db4, 3 levels, one thread")
    axes.legend(fontsize=7, ncol=2)
    figure.tight_layout()
    figure.savefig(path)
