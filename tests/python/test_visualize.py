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
    # There and back is one operator each way.
    assert transforms["operators"][0]["optimized"]["forward"] == 2
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
