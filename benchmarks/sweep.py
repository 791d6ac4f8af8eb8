"""Trains a list of configurations of both models, several at a time.

    python3 benchmarks/sweep.py LIST.json --program build/cuda/benchmarks/signalllm_baseline \
        --data train.txt --out runs/sweep [--jobs 3] [--gpus 0,1] [--deadline 540] [--test valid.txt]

LIST.json holds `settings` (options of `signalllm_baseline train`), the options
of both models under `signalllm` and `transformer`, and `runs`: a list whose
entries change any of them. A value that is a list stands for a run with each
of its values, several of them for all combinations. Names without a dot are
settings (`kind` among them), `model.NAME` is an option of the model:

    {"settings": {"dim": 512, "layers": 8, "steps": 1000},
     "signalllm": {"attention_filter": "short"},
     "transformer": {},
     "runs": [{"kind": ["signalllm", "transformer"], "lr": [1e-3, 2e-3], "seed": 1},
              {"kind": "transformer", "model.qk_norm": false, "seed": [1, 2]}]}

The last --select-bytes of the text are not learned: configurations are chosen
by the loss on them. --test is judged once, at the end of every run, and only
where it is named. What `min-lr` is not said is a tenth of `lr`.

Runs start in the order of the list. OUT/results.jsonl gets one line a run,
OUT/NAME/log.jsonl and OUT/NAME/output.txt what the program wrote. A run that
OUT/results.jsonl has as finished is not trained again, so the same command
goes on where the last one was stopped. With --deadline everything has stopped
that many seconds after the start: a run that would not end in time, judging
by those that did, is not started, and what still runs is interrupted.
"""

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

STOPPING = 12  # seconds that interrupted runs get to end by themselves


def expand(entry):
    """All combinations of an entry's lists, the last name varying fastest."""
    names = list(entry)
    values = [v if isinstance(v, list) else [v] for v in entry.values()]
    return [dict(zip(names, chosen)) for chosen in itertools.product(*values)]


def text_of(value):
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(
        value, float) else str(value)


def name_of(change):
    words = [change["kind"]]
    for key, value in change.items():
        if key != "kind":
            words.append(f"{key.removeprefix('model.')}={text_of(value)}")
    return ",".join(words)


def configurations(sweep):
    """Name, settings and options of the model of every run."""
    unknown = set(sweep) - {"settings", "signalllm", "transformer", "runs"}
    if unknown:
        raise ValueError(f"the list has no part {sorted(unknown)[0]!r}")
    found = {}
    for entry in sweep["runs"]:
        for change in expand(entry):
            settings = dict(sweep.get("settings", {}))
            kind = change.get("kind", settings.get("kind"))
            if kind not in ("signalllm", "transformer"):
                raise ValueError(f"kind is {kind!r}; there are signalllm and transformer")
            model = dict(sweep.get(kind, {}))
            for key, value in change.items():
                if key.startswith("model."):
                    model[key.removeprefix("model.")] = value
                else:
                    settings[key] = value
            settings.setdefault("seed", 1)
            settings.setdefault("lr", 2e-3)
            settings.setdefault("min-lr", settings["lr"] / 10)
            settings["kind"] = kind
            name = name_of({"kind": kind, **change})
            if name in found:
                raise ValueError(f"two runs are {name}")
            found[name] = {"name": name, "settings": settings, "model": model}
    return list(found.values())


def cut(data, count, folder):
    """The text without its end, and its end."""
    text = Path(data).read_bytes()
    place = len(text) - count
    if not 0 < place < len(text):
        raise ValueError(f"--select-bytes {count} of a text of {len(text)} bytes")
    while place < len(text) and text[place] & 0xC0 == 0x80:  # inside a character
        place += 1
    folder.mkdir(parents=True, exist_ok=True)
    parts = folder / "learn.txt", folder / "select.txt"
    for path, part in zip(parts, (text[:place], text[place:])):
        if not path.exists() or path.read_bytes() != part:
            path.write_bytes(part)
    return parts


def lines_of(path):
    if not path.exists():
        return []
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            pass  # the last one, of a run that was killed
    return lines


class Run:
    def __init__(self, configuration, folder):
        self.configuration = configuration
        self.folder = folder / configuration["name"]
        self.process = None
        self.begin = None

    def command(self, program, learn, select, test):
        words = [program, "train", "--data", str(learn), "--valid", str(select)]
        for key, value in self.configuration["settings"].items():
            words += [f"--{key}", text_of(value)]
        model = self.configuration["model"]
        words += ["--model", ",".join(f"{k}={text_of(v)}" for k, v in model.items())]
        words += ["--out", str(self.folder)]
        return words + (["--test", test] if test else [])

    def start(self, words, gpu):
        self.folder.mkdir(parents=True, exist_ok=True)
        environment = dict(os.environ)
        if gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = gpu
        self.gpu = gpu
        self.begin = time.monotonic()
        with open(self.folder / "output.txt", "w", encoding="utf-8") as output:
            output.write(" ".join(words) + "\n")
            output.flush()
            self.process = subprocess.Popen(
                words, stdout=output, stderr=subprocess.STDOUT, env=environment)

    def result(self):
        settings = self.configuration["settings"]
        log = lines_of(self.folder / "log.jsonl")
        last = lambda key: next((x[key] for x in reversed(log) if key in x), None)
        steps = last("step") or 0
        result = {
            **self.configuration,
            "seed": settings["seed"],
            "parameters": last("parameters"),
            "steps": steps,
            "tokens": steps * settings.get("batch", 16) * settings.get("accumulate", 1)
            * settings.get("context", 128),
            "seconds": last("seconds"),
            "wall_seconds": round(time.monotonic() - self.begin, 1),
            "gpu": self.gpu,
            "train_loss": last("loss"),
            "select_bits_per_byte": last("valid_bits_per_byte"),
            "test_bits_per_byte": last("test_bits_per_byte"),
            "finished": self.process.returncode == 0,
        }
        if self.process.returncode not in (0, -signal.SIGKILL) and last("seconds") is None:
            output = (self.folder / "output.txt").read_text(errors="replace")
            result["error"] = output.strip().splitlines()[-1][:300]
        return result


def pace(result):
    """What a token of such a run costs, seconds."""
    return result["wall_seconds"] / max(result["tokens"], 1)


def alike(configuration):
    return configuration["settings"]["kind"], configuration["settings"].get("context", 128)


def expected(configuration, results):
    """Seconds that a run will take, judging by the slowest of its like."""
    settings = configuration["settings"]
    tokens = (settings.get("steps", 2000) * settings.get("batch", 16)
              * settings.get("accumulate", 1) * settings.get("context", 128))
    paces = [pace(r) for r in results
             if r["finished"] and alike(r) == alike(configuration)]
    return max(paces) * tokens if paces else 0.0


def show(results):
    number = lambda value, digits: "-" if value is None else f"{value:.{digits}f}"
    order = lambda r: (r["select_bits_per_byte"] is None, r["select_bits_per_byte"])
    print(f"{'select':>7} {'test':>7} {'steps':>6} {'s':>6} {'parameters':>11}  run")
    for r in sorted(results, key=order):
        print(f"{number(r['select_bits_per_byte'], 4):>7} {number(r['test_bits_per_byte'], 4):>7} "
              f"{r['steps']:>6} {number(r['seconds'], 1):>6} {r['parameters'] or '-':>11}  "
              f"{r['name']}" + ("" if r["finished"] else "  not finished")
              + (f": {r['error']}" if "error" in r else ""), flush=True)


def main():
    parser = argparse.ArgumentParser(
        description="Trains a list of configurations of both models, several at a time.")
    parser.add_argument("list", help="JSON: settings, signalllm, transformer, runs")
    parser.add_argument("--program", required=True, help="signalllm_baseline")
    parser.add_argument("--data", required=True, help="the text to learn")
    parser.add_argument("--out", required=True, type=Path, help="folder of logs and results")
    parser.add_argument("--jobs", type=int, default=3, help="runs at a time, on each GPU")
    parser.add_argument("--gpus", help="numbers of the GPUs, by commas; default: the first")
    parser.add_argument("--deadline", type=float, help="seconds after which all has stopped")
    parser.add_argument("--select-bytes", type=int, default=1_000_000,
                        help="end of the text that is judged on, not learned")
    parser.add_argument("--test", help="a text that every run is judged on once, at its end")
    parser.add_argument("--dry-run", action="store_true", help="print the commands only")
    arguments = parser.parse_args()

    begin = time.monotonic()
    with open(arguments.list, encoding="utf-8") as file:
        queue = configurations(json.load(file))
    left = lambda: (arguments.deadline or float("inf")) - (time.monotonic() - begin)
    if arguments.dry_run:
        for c in queue:
            print(" ".join(Run(c, arguments.out).command(
                arguments.program, "learn.txt", "select.txt", arguments.test)))
        return 0
    learn, select = cut(arguments.data, arguments.select_bytes, arguments.out / "text")
    path = arguments.out / "results.jsonl"
    results = {r["name"]: r for r in lines_of(path)}  # the last of each name
    same = lambda c, r: (c["settings"], c["model"]) == (r["settings"], r["model"])
    queue = [c for c in queue if not (
        c["name"] in results and results[c["name"]]["finished"] and same(c, results[c["name"]]))]

    free = [gpu for _ in range(arguments.jobs)
            for gpu in (arguments.gpus.split(",") if arguments.gpus else [None])]
    running = []
    stopped = False

    def stop(*_):
        nonlocal stopped
        stopped = True

    def keep(run):
        r = results[run.configuration["name"]] = run.result()
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(r) + "\n")
        print(f"[{time.monotonic() - begin:4.0f} s] {r['name']}: select "
              f"{r['select_bits_per_byte']}, test {r['test_bits_per_byte']}, "
              f"{r['seconds']} s" + ("" if r["finished"] else ", not finished"), flush=True)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    while True:
        for run in [r for r in running if r.process.poll() is not None]:
            running.remove(run)
            free.append(run.gpu)
            keep(run)
        stopped = stopped or left() < STOPPING
        if stopped:
            break
        fitting = [c for c in queue
                   if expected(c, results.values()) < left() - STOPPING]
        if fitting and free:
            run = Run(fitting[0], arguments.out)
            queue.remove(fitting[0])
            words = run.command(arguments.program, learn, select, arguments.test)
            run.start(words, free.pop(0))
            running.append(run)
        elif not running:
            break
        else:
            time.sleep(0.2)

    for run in running:
        run.process.send_signal(signal.SIGINT)
    end = time.monotonic() + max(min(STOPPING - 3, left()), 1)
    for run in running:
        try:
            run.process.wait(max(end - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            run.process.kill()
            run.process.wait()
        keep(run)
    show(results.values())
    for c in queue:
        print(f"not started: {c['name']}")
    return 0 if not queue and all(r["finished"] for r in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
