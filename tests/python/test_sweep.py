"""benchmarks/sweep.py with a program that only pretends to train."""
import json
import subprocess
import sys

import pytest

from conftest import ROOT

SWEEP = ROOT / "benchmarks" / "sweep.py"
PROGRAM = """#!{python}
import json, pathlib, signal, sys, time
words = sys.argv[2:]
given = dict(zip(words[::2], words[1::2]))
out = pathlib.Path(given["--out"])
log = open(out / "log.jsonl", "w")
def write(line):
    log.write(json.dumps(line) + "\\n"); log.flush()
write({{"kind": given["--kind"], "parameters": 7}})
if given["--model"] == "broken=true":
    sys.exit("signalllm_baseline: broken")
stopped = []
signal.signal(signal.SIGINT, lambda *_: stopped.append(1))
steps = int(given["--steps"])
for step in range(1, steps + 1):
    time.sleep(float(given["--pause"]))
    if stopped:
        write({{"step": step, "loss": 2.0}}); write({{"seconds": 1.0}}); sys.exit(1)
select = pathlib.Path(given["--valid"]).read_bytes()
write({{"step": steps, "loss": 1.0}})
write({{"step": steps, "valid_bits_per_byte": float(given["--lr"]) + len(select)}})
write({{"seconds": 1.0}})
if "--test" in given:
    write({{"step": steps, "test_bits_per_byte": 0.5}})
"""


@pytest.fixture
def sweep(tmp_path):
    program = tmp_path / "program"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    text = tmp_path / "text"
    text.write_bytes("0123456789é".encode() + b"abc")

    def run(sweep, *more):
        path = tmp_path / "list.json"
        path.write_text(json.dumps(sweep))
        done = subprocess.run(
            [sys.executable, SWEEP, path, "--program", program, "--data", text,
             "--out", tmp_path / "out", "--select-bytes", "4", *more],
            capture_output=True, text=True, timeout=60)
        results = tmp_path / "out" / "results.jsonl"
        lines = results.read_text().splitlines() if results.exists() else []
        return done, [json.loads(line) for line in lines]

    run.out = tmp_path / "out"
    return run


def listed(pause=0, **more):
    return {"settings": {"steps": 2, "batch": 3, "context": 5, "pause": pause},
            "signalllm": {"filter": "short"}, "runs": [more]}


def test_trains_every_combination_and_goes_on(sweep):
    both = listed(kind=["signalllm", "transformer"], lr=[0.5, 0.25], seed=1)
    done, results = sweep(both)
    assert done.returncode == 0, done.stderr
    # The slice begins at a character.
    assert (sweep.out / "text" / "select.txt").read_bytes() == b"abc"
    assert (sweep.out / "text" / "learn.txt").read_text() == "0123456789é"
    found = {r["name"]: r for r in results}
    assert set(found) == {f"{kind},lr={lr},seed=1" for kind in ("signalllm", "transformer")
                          for lr in (0.5, 0.25)}
    one = found["signalllm,lr=0.25,seed=1"]
    assert one["select_bits_per_byte"] == 3.25 and one["test_bits_per_byte"] is None
    assert one["tokens"] == 30 and one["parameters"] == 7 and one["finished"]
    assert one["settings"]["min-lr"] == 0.025 and one["model"] == {"filter": "short"}
    assert "--model filter=short" in (sweep.out / one["name"] / "output.txt").read_text()
    # Nothing again, but what is new; the test text only when it is named.
    both["runs"].append({"kind": "transformer", "model.norm": False, "seed": 1})
    done, results = sweep(both, "--test", "valid.txt")
    assert done.returncode == 0 and len(results) == 5
    assert results[-1]["model"] == {"norm": False}
    assert results[-1]["test_bits_per_byte"] == 0.5
    # A configuration that changed under its name is another one.
    both["settings"]["steps"] = 3
    assert len(sweep(both)[1]) == 10


def test_stops_all_at_the_deadline(sweep):
    # Three seconds to start two runs, which would take ten.
    done, results = sweep(
        listed(pause=5, kind="signalllm", seed=[1, 2, 3]), "--jobs", "2", "--deadline", "15")
    assert done.returncode == 1
    assert [r["finished"] for r in results] == [False, False]
    assert "not started: signalllm,seed=3" in done.stdout


def test_starts_nothing_that_would_not_end_in_time(sweep):
    runs = listed(pause=0.5, kind="signalllm", seed=1)
    runs["runs"].append({"kind": "signalllm", "steps": 100, "seed": 2})
    runs["runs"].append({"kind": "signalllm", "steps": 1, "seed": 3})
    done, results = sweep(runs, "--jobs", "1", "--deadline", "30")
    assert [r["seed"] for r in results] == [1, 3]
    assert "not started: signalllm,steps=100,seed=2" in done.stdout


def test_says_what_went_wrong(sweep):
    runs = listed(kind="transformer", seed=1)
    runs["runs"][0]["model.broken"] = True
    done, results = sweep(runs)
    assert done.returncode == 1 and results[0]["error"] == "signalllm_baseline: broken"
    done, _ = sweep({"runs": [{"kind": "rnn"}]})
    assert done.returncode == 1 and "kind is 'rnn'" in done.stderr
