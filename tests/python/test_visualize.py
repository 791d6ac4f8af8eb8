"""The pictures that `signalllm visualize` draws: all there, none blank."""
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from conftest import LIBRARY

PROGRAM = pathlib.Path(LIBRARY).parent / "signalllm"
LENGTHS = (64, 128, 256, 512, 1024)
OF_TRANSFORMS = [f"wavelet_visualization_{n}" for n in LENGTHS] + [
    "wavelet_reconstruction_errors",
    "mps_implementation_comparison",
    "mps_wavelet_speedup",
]
OF_SEARCHES = ["search_front", "search_filters", "search_family"]
OF_MODELS = ["learned_filters", "spectral_embedding", "tree_attention"]

pytestmark = pytest.mark.skipif(
    not PROGRAM.exists(), reason="the program was not built"
)


def run(folder, *words, **environment):
    environment = {**os.environ, "SIGNALLLM_PYTHON": sys.executable, **environment}
    return subprocess.run(
        [PROGRAM, *words, "--threads", "1"],
        cwd=folder, env=environment, capture_output=True, text=True)


def visualize(folder, *words):
    done = run(folder, "visualize", "--device", "cpu", "--seconds", "0.01",
               "--out", "pictures", *words)
    assert done.returncode == 0, done.stderr
    pictures = folder / "pictures"
    numbers = json.loads((pictures / "visualize.json").read_text())
    return {p.stem: p for p in pictures.glob("*.png")}, numbers


def check(path):
    image = pytest.importorskip("matplotlib.image")
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    pixels = image.imread(path)[..., :3]
    assert min(pixels.shape[:2]) >= 400, path
    # Lines of ink at many heights and not only a frame.
    inked = (np.ptp(pixels, axis=(1, 2)) > 0.2).mean()
    assert inked > 0.5, path
    assert 0.005 < (pixels.min(-1) < 0.9).mean() < 0.9, path


def test_draws_transforms_and_a_small_model(tmp_path):
    pictures, numbers = visualize(tmp_path, "--steps", "2")
    assert sorted(pictures) == sorted(OF_TRANSFORMS + OF_MODELS)
    for path in pictures.values():
        check(path)
    transforms = numbers["transforms"]
    for row in transforms["signals"]:
        assert np.abs(row["error"]).max() < 1e-5
    assert [row["length"] for row in transforms["times"]] == list(LENGTHS)
    for row in transforms["operators"]:
        for way in ("forward", "backward"):
            assert 0 < row["optimized"][way] < row["standard"][way], row
    # There and back is one operator each way, and four filters are made.
    assert transforms["operators"][0]["optimized"]["forward"] == 6
    weights = np.array(numbers["model"]["attention"]["weights"])
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-4)
    assert np.abs(np.triu(weights, 1)).max() < 1e-6


def train(folder, *words):
    text = "the quick brown fox $1 jumps over the lazy dog, and again\n" * 40
    (folder / "text.txt").write_text(text)
    done = run(folder, "train", "--data", "text.txt", "--out", "run", "--dim", "16",
               "--layers", "1", "--heads", "2", "--context", "16", "--batch", "2",
               "--steps", "2", "--device", "cpu", *words)
    assert done.returncode == 0, done.stderr


def test_looks_into_a_run(tmp_path):
    train(tmp_path, "--tokenizer", "chars")
    pictures, numbers = visualize(tmp_path, "--run", "run")
    assert sorted(pictures) == sorted(OF_TRANSFORMS + OF_MODELS)
    for name in OF_MODELS:
        check(pictures[name])
    model = numbers["model"]
    assert model["name"] == "run, step 2"
    assert model["filters"]["kind"] == "short"
    assert model["attention"]["trained_window"] == 0
    assert model["attention"]["tokens"][:3] == list("the")


def test_leaves_out_what_a_run_has_not(tmp_path):
    train(tmp_path, "--attention", "0", "--model", "embedding=hybrid")
    pictures, numbers = visualize(tmp_path, "--run", "run", "--text", "the fox $2")
    assert sorted(pictures) == sorted(OF_TRANSFORMS + OF_MODELS[:2])
    assert numbers["model"]["attention"] is None


def search(folder, *words):
    text = "the quick brown fox jumps over the lazy dog, and again\n" * 40
    (folder / "text.txt").write_text(text)
    done = run(folder, "evolve", "--data", "text.txt", "--out", "found$1", "--dim", "16",
               "--layers", "1", "--heads", "2", "--context", "16", "--batch", "2", "--steps", "4",
               "--attention", "0.5", "--population", "4", "--generations", "3", "--seeds", "2",
               "--jobs", "1", "--device", "cpu", *words)
    assert done.returncode == 0, done.stderr


def draw_search(folder):
    done = run(folder, "visualize", "--run", "found$1", "--out", "pictures")
    assert done.returncode == 0, done.stderr
    pictures = folder / "pictures"
    numbers = json.loads((pictures / "visualize.json").read_text())
    return {p.stem: p for p in pictures.glob("*.png")}, numbers["search"]


def test_shows_a_search(tmp_path):
    search(tmp_path)
    pictures, numbers = draw_search(tmp_path)
    assert sorted(pictures) == sorted(OF_SEARCHES)
    for path in pictures.values():
        check(path)
    history = [json.loads(line) for line in (tmp_path / "found$1/history.jsonl").read_text().splitlines()]
    individuals = numbers["individuals"]
    assert [one["id"] for one in individuals] == list(range(12))
    assert {one["id"] for one in individuals if one["rung"] == 1} == {
        line["id"] for line in history if line["rung"] == 1}
    assert len(numbers["fronts"]) == len(numbers["best_losses"]) == 3
    assert numbers["best_losses"][-1] == individuals[numbers["best"]]["loss"]
    assert numbers["fronts"][-1][-1][1] == numbers["best_losses"][-1]
    for key in ("low", "high"):
        taps = np.array(numbers["reference_filters"][key])
        assert taps.shape == (3, 8)
        np.testing.assert_allclose(taps.sum(1), 1 if key == "low" else 0, atol=1e-6)


def test_shows_a_search_by_chance_that_was_stopped(tmp_path):
    search(tmp_path, "--search", "random")
    history = tmp_path / "found$1/history.jsonl"
    lines = history.read_text().splitlines(keepends=True)
    last = [i for i, line in enumerate(lines) if json.loads(line)["generation"] == 2]
    history.write_text("".join(lines[:last[1]]) + lines[last[1]][:20])
    before = history.read_text()
    pictures, numbers = draw_search(tmp_path)
    assert sorted(pictures) == sorted(OF_SEARCHES[:2])  # chance has no families
    assert len(numbers["fronts"]) == 2 and len(numbers["individuals"]) == 8
    assert history.read_text() == before
