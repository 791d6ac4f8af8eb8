"""The weights that the program writes, read by PyPI's safetensors."""

import json
import os
import pathlib
import subprocess

import pytest

safetensors = pytest.importorskip("safetensors")

PROGRAM = pathlib.Path(os.environ["SIGNALLLM_LIBRARY"]).with_name("signalllm")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    if not PROGRAM.exists():
        pytest.skip("the program was not built")
    folder = tmp_path_factory.mktemp("run")
    text = folder / "text.txt"
    text.write_text("a small text to learn\n" * 100)
    size = "--dim 16 --layers 1 --heads 2 --context 16 --batch 2 --steps 2"
    subprocess.run(
        [PROGRAM, "train", "--data", text, "--out", folder / "run"]
        + size.split(),
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return folder / "run"


def test_weights_and_moments(run):
    from safetensors import safe_open

    checkpoint = run / "checkpoint-00000002"
    with safe_open(checkpoint / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
        weights = {name: file.get_tensor(name) for name in file.keys()}
    assert weights["embedding.coefficients"].shape[0] == 256
    assert all(tensor.isfinite().all() for tensor in weights.values())
    with safe_open(checkpoint / "optimizer.safetensors", framework="pt") as file:
        names = set(file.keys())
        assert file.get_tensor("adamw.steps").item() == 2
    assert "adamw.mean.embedding.coefficients" in names
    assert "random.cpu" in names


def test_state_and_configuration_are_json(run):
    state = json.loads((run / "checkpoint-00000002" / "state.json").read_text())
    assert state["step"] == 2
    assert set(state["files"]) == {
        "average.safetensors",
        "model.safetensors",
        "optimizer.safetensors",
    }
    config = json.loads((run / "config.json").read_text())
    assert config["settings"]["dim"] == 16
    assert config["model"]["vocab_size"] == "256"
