"""Event files of `signalllm train --tensorboard`, read by PyPI's tensorboard."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from conftest import LIBRARY

PROGRAM = pathlib.Path(LIBRARY).parent / "signalllm"
if not PROGRAM.exists():
    pytest.skip("the program was not built", allow_module_level=True)


def train(*words):
    return subprocess.run(
        [str(PROGRAM), "train", *map(str, words)], check=True, capture_output=True,
        text=True, env={**os.environ, "SIGNALLLM_PYTHON": "true"}).stdout


@pytest.fixture
def started(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("".join(f"line {i % 17} of a small text\n" for i in range(200)))
    run = tmp_path / "run"
    train("--data", text, "--out", run, "--dim", 16, "--layers", 1, "--heads", 2,
          "--context", 16, "--batch", 2, "--threads", 1, "--device", "cpu", "--steps", 8,
          "--report-every", 1, "--evaluate-every", 4, "--checkpoint-every", 6, "--tensorboard")
    return run


def scalars(run):
    events = EventAccumulator(str(run))
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)]
            for tag in events.Tags()["scalars"]}


def expected(run):
    names = {"loss": "loss/train", "gradient_norm": "gradient_norm",
             "learning_rate": "learning_rate", "tokens_per_second": "tokens_per_second",
             "step_ms": "step_ms", "tflops": "tflops", "valid_loss": "loss/held-out",
             "valid_bits_per_byte": "bits_per_byte/held-out"}
    found = {}
    for line in (run / "log.jsonl").read_text().splitlines():
        entry = json.loads(line)
        for key, tag in names.items():
            if key in entry:
                found.setdefault(tag, []).append(
                    (entry["step"], pytest.approx(entry[key], rel=1e-4, abs=0.5 if "tokens" in key else 0)))
    return found


def test_every_number_of_the_log(started):
    read = scalars(started)
    assert read == expected(started)
    assert [step for step, _ in read["loss/train"]] == list(range(1, 9))
    assert [step for step, _ in read["loss/held-out"]] == [4, 8]


def test_a_run_that_goes_back_has_every_step_once(started):
    shutil.rmtree(started / "checkpoint-00000008")
    train("--resume", started, "--steps", 10)
    assert len(list(started.glob("events.out.tfevents.*"))) == 2
    read = scalars(started)
    assert read == expected(started)
    assert [step for step, _ in read["loss/train"]] == list(range(1, 11))


def test_a_run_that_is_done_writes_none(started):
    train("--resume", started)
    assert len(list(started.glob("events.out.tfevents.*"))) == 1
