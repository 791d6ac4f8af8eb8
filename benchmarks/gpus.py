"""Training on 1, 2, 4, ... GPUs of one host: tokens a second, efficiency, what
the exchange of gradients costs, and the loss.

    python3 benchmarks/gpus.py --program build/cuda/signalllm --data train.txt --out runs/gpus [--models 25M,124M]

Weak scaling: --windows a GPU. Strong scaling: as many windows in all as the
largest number of GPUs has in weak scaling. Every run trains the same number of
steps from the same start, so that runs of one global batch must end with the
same loss. One JSON object a run goes to OUT/results.jsonl, the table of all to
the terminal. Context 1,024, bfloat16 products, AdamW; steps are recorded as a
CUDA graph unless --record false.

Efficiency is the speed over that of one GPU times the number of GPUs; `bytes`
are those of the gradients that one step reduces, `hidden` is the share of their
exchange that lies behind backward, both as the program says them at its end
(of the steps before recording, where steps are recorded).
"""

import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

MODELS = {
    "25M": ["--dim", "512", "--layers", "8", "--heads", "8"],
    "124M": ["--dim", "896", "--layers", "13", "--heads", "14"],
}
GRADIENTS = re.compile(r"gradients: ([\d.]+) MB a step in (\d+) buckets; .* takes ([\d.]+) ms, (\d+)%")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def train(args, model, processes, batch):
    """One run; its result as it goes into the table."""
    folder = Path(args.out) / f"{model}-{processes}x{batch}"
    words = [args.program, "train", "--data", args.data, *MODELS[model], "--context", "1024",
             "--batch", str(batch), "--steps", str(args.steps), "--lr", "1e-3", "--warmup", "20",
             "--precision", "bfloat16", "--device", "cuda", "--record", args.record,
             "--threads", "4", "--report-every", "10", "--evaluate-every", "0",
             "--checkpoint-every", "0", "--average", "0", "--out", str(folder)]
    port, running, begin = free_port(), [], time.monotonic()
    outputs = [folder.with_name(f"{folder.name}-{rank}.txt") for rank in range(processes)]
    for rank, output in enumerate(outputs):
        place = {"WORLD_SIZE": str(processes), "RANK": str(rank), "MASTER_PORT": port}
        with open(output, "w", encoding="utf-8") as file:
            running.append(subprocess.Popen(
                words, env={**os.environ, **place}, stdout=file, stderr=subprocess.STDOUT))
    codes = [process.wait() for process in running]
    text = "".join(output.read_text(errors="replace") for output in outputs)
    if any(codes):
        raise SystemExit(f"{folder.name} ended with {codes}:\n{text[-2000:]}")
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    speeds = [line["tokens_per_second"] for line in log if "tokens_per_second" in line]
    losses = [line["loss"] for line in log if "loss" in line]
    exchange = GRADIENTS.search(text)
    return {
        "model": model, "processes": processes, "batch": batch, "steps": args.steps,
        # the first lines pay for the start and the recording
        "tokens_per_second": statistics.median(speeds[3:]),
        "megabytes": float(exchange[1]) if exchange else 0.0,
        "hidden_percent": int(exchange[4]) if exchange else None,
        "loss": losses[-1], "wall_seconds": round(time.monotonic() - begin, 1)}


def show(results):
    speed = {(r["model"], r["processes"], r["batch"]): r["tokens_per_second"] for r in results}
    loss = {(r["model"], r["batch"]): r["loss"] for r in results if r["processes"] == 1}
    print("model  GPUs  batch  tokens/s  weak  strong  MB a step  hidden    loss  off one GPU's")
    for r in results:
        model, count, batch = r["model"], r["processes"], r["batch"]
        share = lambda one: f"{r['tokens_per_second'] / one / count:.3f}" if one else "-"
        off = r["loss"] - loss[model, batch] if (model, batch) in loss else None
        hidden = "-" if r["hidden_percent"] is None else f"{r['hidden_percent']}%"
        print(f"{model:>5}  {count:>4}  {batch:>5}  {r['tokens_per_second']:>8.0f}"
              f"  {share(speed.get((model, 1, batch // count))):>5}"
              f"  {share(speed.get((model, 1, batch))):>5}  {r['megabytes']:>9.1f}  {hidden:>6}"
              f"  {r['loss']:>6.4f}  {'-' if off is None else f'{off:+.1e}'}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--models", default="25M,124M")
    parser.add_argument("--gpus", type=int, help="as many as nvidia-smi lists, if not given")
    parser.add_argument("--windows", type=int, default=32, help="a GPU, in weak scaling")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--record", choices=["true", "false"], default="true")
    args = parser.parse_args()
    models = args.models.split(",")
    for model in models:
        if model not in MODELS:
            raise SystemExit(f"there is no model {model!r}; there are {', '.join(MODELS)}")
    if args.steps < 50:
        raise SystemExit("--steps below 50 leaves nothing to measure behind the start")
    gpus = args.gpus or len(subprocess.run(
        ["nvidia-smi", "-L"], check=True, capture_output=True, text=True).stdout.splitlines())
    counts = [1 << power for power in range(gpus.bit_length())]
    whole = args.windows * counts[-1]
    Path(args.out).mkdir(parents=True, exist_ok=True)
    results = []
    with open(Path(args.out) / "results.jsonl", "a", encoding="utf-8") as file:
        for model in models:
            for count in counts:
                for batch in sorted({args.windows * count, whole}):
                    results.append(train(args, model, count, batch))
                    file.write(json.dumps(results[-1]) + "\n")
                    file.flush()
                    print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    show(results)


if __name__ == "__main__":
    main()
