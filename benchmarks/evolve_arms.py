"""What searching a wavelet is worth: evolve and random search, then trainings with what they found.

    python3 benchmarks/evolve_arms.py --build build/release --out runs/arms \
        --text tinyshakespeare=input.txt,chars --text novels95=train.txt,bytes [--seeds 3] [--tasks signals]

For every text, `signalllm evolve` looks for the wavelet of fixed filters with --search evolve and with
--search random, as many genomes each, all of them in the same places and of as many levels. Then models of
the same sizes train with the same steps: filters that stay db4, evolve's winner or the random search's;
learned ones and lattices that begin with db4 or evolve's winner. The search of a seed gives the winner that
trainings of that seed begin with. A text is a file and its tokenizer; the last --judged bytes of the first
--bytes are seen by no search and no training. The task `signals` is the same with `signalllm_denoise`.

Everything runs with one thread, one after the other. OUT/results.jsonl gets a line a search and a line a
training; what stands there is not done again. --table prints it as tables.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

SIZES = ["--dim", "32", "--layers", "2", "--heads", "2", "--context", "64", "--batch", "8",
         "--threads", "1", "--device", "cpu"]
MODEL = "qk_norm=false"
PLACES = f"{MODEL},attention_filter=wavelet,fourier_filter=wavelet"
ARMS = ("fixed db4", "fixed evolved", "fixed random", "learned db4", "learned evolved",
        "lattice db4", "lattice evolved")
SEARCHES = ("evolve", "random")


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run(words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}:\n{done.stdout[-500:]}{done.stderr[-2000:]}")
    return done.stdout


class Text:
    """A text to model; losses are bits per byte."""

    unit, decimals = "bits per byte", 4

    def __init__(self, name, path, tokenizer, options):
        self.name, self.options, self.tokenizer = name, options, tokenizer
        self.program = options.build / "signalllm"
        self.folder = options.out / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.learn, self.judge = self.folder / "learn.txt", self.folder / "judge.txt"
        if not self.judge.exists():
            with open(path, "rb") as file:
                text = file.read(options.bytes)
            place = len(text) - options.judged
            if place <= 0:
                sys.exit(f"{path} has no {options.judged} bytes to judge on and others to learn")
            while text[place] & 0xC0 == 0x80:  # inside a character
                place += 1
            self.learn.write_bytes(text[:place])
            self.judge.write_bytes(text[place:])

    def search(self, kind, seed):
        out = self.folder / f"{kind}-{seed}"
        options = self.options
        if (out / "config.json").exists():
            words = ["evolve", "--resume", out]
        else:
            words = ["evolve", "--data", self.learn, "--out", out, "--tokenizer", self.tokenizer, *SIZES,
                     "--search", kind, "--seed", seed, "--model", MODEL, "--hold", "places,levels", "--max-stages", 4,
                     "--steps", options.search_steps, "--population", 8, "--rungs", 2, "--seeds", 3]
        report = run([self.program, *words, "--jobs", 1, "--generations", options.generations])
        best = re.search(r"best: ([\d.]+) bits per byte after \d+ steps; db4, the reference: ([\d.]+)", report)
        trials = lines_of(out / "history.jsonl")
        genomes = {trial["id"] for trial in trials}
        wavelets = re.search(r"wavelet=([^,\"]+)", report[report.index("use it:"):])
        return {"wavelets": wavelets[1] if wavelets else "db2",  # what need not be said
                "found": float(best[1]), "reference": float(best[2]),
                "genomes": len(genomes), "trainings": len(trials)}

    def train(self, filters, wavelets, seed):
        out = self.folder / f"train-{filters}-{seed}-{time.time_ns()}"
        run([self.program, "train", "--data", self.learn, "--valid", self.judge, "--out", out,
             "--tokenizer", self.tokenizer, *SIZES, "--seed", seed, "--steps", self.options.steps,
             "--average", 0, "--checkpoint-every", 0, "--evaluate-every", 0, "--report-every", 100,
             "--model", f"{PLACES},filters={filters},levels=3,wavelet={wavelets}"])
        return lines_of(out / "log.jsonl")[-1]["valid_bits_per_byte"]


class Signals:
    """Signals to denoise; losses are energies of the error in dB."""

    name, unit, decimals = "signals", "dB", 2

    def __init__(self, options):
        self.options = options
        self.program = options.build / "signalllm_denoise"

    def search(self, kind, seed):
        report = run([self.program, "search", kind, seed, self.options.signal_generations])
        last = json.loads(report.splitlines()[-1])
        return {"wavelets": last["wavelets"], "found": last["best"], "reference": last["reference"],
                "genomes": last["genomes"]}

    def train(self, filters, wavelets, seed):
        return json.loads(run([self.program, "train", filters, wavelets, seed, self.options.signal_steps]))["loss"]


class Results:
    def __init__(self, path):
        self.path, self.lines = path, lines_of(path)

    def find(self, **what):
        return next((line for line in self.lines if what.items() <= line.items()), None)

    def get(self, compute, **what):
        """The line of that name, computed where it is not there."""
        line = self.find(**what)
        if line is None:
            start = time.time()
            line = {**what, **compute(), "seconds": round(time.time() - start, 1)}
            self.lines.append(line)
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)
        return line


def work(task, results, seed):
    found = {"db4": "db4"}
    for kind in SEARCHES:
        line = results.get(lambda: task.search(kind, seed), task=task.name, search=kind, seed=seed)
        found[{"evolve": "evolved", "random": "random"}[kind]] = line["wavelets"]
    for arm in ARMS:
        filters, start = arm.split()
        results.get(lambda: {"loss": task.train(filters, found[start], seed)},
                    task=task.name, arm=arm, seed=seed)


def spread(values):
    text = f"{statistics.mean(values):+.4f}"
    return text + (f" +- {statistics.stdev(values):.4f}" if len(values) > 1 else "")


def table(results, seeds):
    for task in dict.fromkeys(line["task"] for line in results.lines):
        print(f"\n{task}\n\n| search | genomes | db4 minus the best, each seed |\n| --- | --- | --- |")
        for kind in SEARCHES:
            lines = [results.find(task=task, search=kind, seed=seed) for seed in seeds]
            lines = [line for line in lines if line]
            gains = [f"{line['reference'] - line['found']:.4f}" for line in lines]
            print(f"| {kind} | {max((line['genomes'] for line in lines), default=0)} | {', '.join(gains)} |")
        print("\n| filters, begin with | loss, each seed | above fixed db4, same seed |\n| --- | --- | --- |")
        for arm in ARMS:
            pairs = [(results.find(task=task, arm=arm, seed=seed), results.find(task=task, arm=ARMS[0], seed=seed))
                     for seed in seeds]
            pairs = [(a["loss"], b["loss"]) for a, b in pairs if a and b]
            if pairs:
                print(f"| {arm} | {', '.join(f'{a:.4f}' for a, _ in pairs)} | {spread([a - b for a, b in pairs])} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=Path("build/release"), help="where the programs were built")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--text", action="append", default=[], metavar="NAME=FILE,TOKENIZER")
    parser.add_argument("--tasks", help="only these, NAME,NAME; signals is one")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=1, help="to share seeds out among processes, each its --out")
    parser.add_argument("--bytes", type=int, default=500_000, help="of a text")
    parser.add_argument("--judged", type=int, default=50_000)
    parser.add_argument("--generations", type=int, default=6, help="of 8 genomes each, for a text")
    parser.add_argument("--search-steps", type=int, default=100)
    parser.add_argument("--steps", type=int, default=500, help="of the trainings with what was found")
    parser.add_argument("--signal-generations", type=int, default=20, help="of 16 genomes each")
    parser.add_argument("--signal-steps", type=int, default=300)
    parser.add_argument("--table", action="store_true", help="only print what there is")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results = Results(options.out / "results.jsonl")
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    if not options.table:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        tasks = {}
        for text in options.text:
            name, rest = text.split("=", 1)
            path, tokenizer = rest.rsplit(",", 1)
            tasks[name] = lambda name=name, path=path, tokenizer=tokenizer: Text(name, path, tokenizer, options)
        tasks["signals"] = lambda: Signals(options)
        chosen = options.tasks.split(",") if options.tasks else list(tasks)
        made = [tasks[name]() for name in chosen]
        for seed in seeds:  # all tasks have a first seed before one has a second
            for task in made:
                work(task, results, seed)
    table(results, seeds)


if __name__ == "__main__":
    main()
