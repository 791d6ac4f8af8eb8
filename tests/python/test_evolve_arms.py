"""The runner of the experiment with searched wavelets: every search and training once."""
import json
import pathlib
import subprocess
import sys

import pytest

from conftest import LIBRARY

BUILD = pathlib.Path(LIBRARY).parent
RUNNER = pathlib.Path(__file__).parents[2] / "benchmarks/evolve_arms.py"

pytestmark = pytest.mark.skipif(
    not (BUILD / "signalllm").exists(), reason="the program was not built"
)


def arms(folder, *words):
    text = "the quick brown fox jumps over the lazy dog, and again\n" * 80
    (folder / "text.txt").write_text(text)
    done = subprocess.run(
        [sys.executable, RUNNER, "--build", BUILD, "--out", folder / "out", "--seeds", "1",
         "--text", f"small={folder / 'text.txt'},chars", "--bytes", "4000", "--judged", "1000",
         "--generations", "1", "--search-steps", "2", "--steps", "2", "--tasks", "small", *words],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = (folder / "out/results.jsonl").read_text().splitlines()
    return done.stdout, [json.loads(line) for line in lines]


def test_does_everything_once(tmp_path):
    out, lines = arms(tmp_path)
    searches = {line["search"]: line for line in lines if "search" in line}
    assert searches["evolve"]["genomes"] == searches["random"]["genomes"] == 8
    losses = {line["arm"]: line["loss"] for line in lines if "arm" in line}
    assert len(losses) == 7 and len(lines) == 9
    assert losses["fixed evolved"] != losses["learned evolved"] != losses["fixed db4"]
    for search in searches.values():
        assert search["found"] <= search["reference"]
        assert search["wavelets"] == "db4" or search["wavelets"].count(";") in (0, 2)
    assert f"| fixed db4 | {losses['fixed db4']:.4f} | +0.0000 |" in out
    again, same = arms(tmp_path)
    assert same == lines
    assert again.splitlines()[-9:] == out.splitlines()[-9:]
