"""Draws the loss curve of a run: plot_loss.py LOG.jsonl PICTURE.png"""

import json
import sys

try:
    import matplotlib
except ImportError:
    sys.exit("matplotlib is not installed (pip install matplotlib)")
matplotlib.use("Agg")
import matplotlib.pyplot as plt


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def smoothed(values, span):
    """Running mean of the last `span` values, shorter at the start."""
    return [
        sum(values[max(0, i + 1 - span) : i + 1]) / min(i + 1, span)
        for i in range(len(values))
    ]


def main(log, picture):
    lines = read(log)
    train = [(x["step"], x["loss"]) for x in lines if "loss" in x]
    valid = [(x["step"], x["valid_loss"]) for x in lines if "valid_loss" in x]
    if not train:
        sys.exit(f"{log} holds no losses")
    steps, losses = zip(*train)
    figure, axes = plt.subplots(figsize=(7.5, 4.5), dpi=120)
    axes.plot(steps, losses, color="tab:blue", alpha=0.3, linewidth=1)
    axes.plot(
        steps,
        smoothed(losses, max(1, len(losses) // 40)),
        color="tab:blue",
        label="training (thin: as logged, thick: running mean)",
    )
    if valid:
        steps, losses = zip(*valid)
        axes.plot(
            steps,
            losses,
            color="tab:orange",
            marker="o",
            markersize=5,
            label=f"held out (last: {losses[-1]:.3f})",
        )
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats per token)")
    axes.set_title("Loss while training")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(picture)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
