"""Models between the program and Python: what `signalllm export` writes, read
with PyPI's safetensors and computed by examples/signalllm_model.py, and a model
that Python wrote, read by `signalllm import`."""
import json
import math
import pathlib
import re
import subprocess
import sys

import pytest
import torch

from conftest import LIBRARY, ROOT

safetensors = pytest.importorskip("safetensors.torch")
sys.path.insert(0, str(ROOT / "examples"))
import signalllm_model  # noqa: E402

PROGRAM = pathlib.Path(LIBRARY).with_name("signalllm")
PAGE = (ROOT / "docs" / "export.md").read_text()

pytestmark = pytest.mark.skipif(
    not PROGRAM.exists(), reason="the program was not built"
)


def run(*words):
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("".join(f"line {i % 17} of a small text\n" for i in range(400)))
    return path


def train(text, folder, more):
    size = "--batch 2 --steps 3 --lr 0.01 --warmup 0 --threads 1"
    run("train", "--data", text, "--out", folder, *size.split(), *more.split())
    return folder


SMALL = "--dim 32 --layers 2 --heads 4 --context 48"
MODELS = {
    "default": "--context 128",
    "tree": SMALL + " --attention 0.5 --model window=8,attention_filter=short,qk_norm=true,passes=2",
    "fourier": SMALL + " --attention 0 --tokenizer chars --model embedding=hybrid,fourier_norm=false,"
    "constant_q=false,feed_forward=causal_time,activation=gelu",
    "attention": SMALL + " --attention 1 --model rotary=false,attention_filter=none,feed_forward=none,harmonics=5",
}


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_the_program_s(text, tmp_path, name):
    train(text, tmp_path / "run", MODELS[name])
    run("export", "--run", tmp_path / "run", "--out", tmp_path / "model", "--example")
    config, weights = signalllm_model.load(tmp_path / "model")
    example = safetensors.load_file(tmp_path / "model" / "example.safetensors")
    tokens = example["tokens"]
    assert tokens.shape == (1, config["max_length"]) and tokens.max() < config["vocab_size"]
    assert config["window"] == 0 or 2 * config["window"] < tokens.shape[1]
    logits = signalllm_model.forward(config, weights, tokens)
    # Trained weights: the logits are not those of a model that says nothing.
    assert example["logits"].std() > 0.1
    torch.testing.assert_close(logits, example["logits"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("more", ["attention=frequency", "window=8,opened=2", "fourier_filter=wavelet"])
def test_what_the_example_does_not_have_it_refuses(text, tmp_path, more):
    train(text, tmp_path / "run", f"{SMALL} --model {more}")
    run("export", "--run", tmp_path / "run", "--out", tmp_path / "model")
    with pytest.raises(NotImplementedError):
        signalllm_model.load(tmp_path / "model")


def test_half_precision(text, tmp_path):
    train(text, tmp_path / "run", SMALL)
    run("export", "--run", tmp_path / "run", "--out", tmp_path / "model", "--dtype", "bfloat16", "--example")
    stored = safetensors.load_file(tmp_path / "model" / "model.safetensors")
    assert stored["norm.weight"].dtype == torch.bfloat16
    assert stored["embedding.basis"].dtype == torch.float32
    config, weights = signalllm_model.load(tmp_path / "model")
    example = safetensors.load_file(tmp_path / "model" / "example.safetensors")
    logits = signalllm_model.forward(config, weights, example["tokens"])
    torch.testing.assert_close(logits, example["logits"], rtol=0, atol=1e-5)


def random_model(vocab, dim, layers, heads, length, terms=16):
    """Options and weights of a model with random weights, as Python has them."""
    torch.manual_seed(0)
    attending, width = dim // heads, dim - dim // heads
    k = torch.arange(1, dim // 2 + 1, dtype=torch.float64)[:, None]
    angle = k * (torch.arange(dim) + 0.5) * (2 * math.pi / dim)
    cosine, sine = angle.cos() * (2 / dim) ** 0.5, angle.sin() * (2 / dim) ** 0.5
    cosine[-1], sine[-1] = dim**-0.5, sine[-1] / 2**0.5
    weights = {
        "embedding.coefficients": torch.randn(vocab, dim) * 0.3,
        "embedding.basis": torch.cat([cosine, sine]).float(),
        "norm.weight": torch.rand(dim) + 0.5,
        "norm.bias": torch.randn(dim) * 0.1,
    }
    for i in range(layers):
        block = {}
        for name in ("mixer_norm", "feed_forward_norm"):
            block |= {f"{name}.weight": torch.rand(dim) + 0.5, f"{name}.bias": torch.randn(dim) * 0.1}
        for name, inner in (("attention", attending), ("fourier", width)):
            block |= {
                f"{name}.in_proj.weight": torch.randn(3 * inner, dim) * dim**-0.5,
                f"{name}.out_proj.weight": torch.randn(dim, inner) * inner**-0.5,
                f"{name}.filter.taps": torch.randn(3 * inner, 3) * 0.3,
            }
        block |= {
            "fourier.kernel_terms": torch.randn(2 * terms + 1, width) * 0.1,
            "fourier.log_decay": torch.linspace(0, 3, width),
            "fourier.frequency": 2.0 ** torch.randint(0, 2, (width,)),
            "fourier.skip": torch.randn(width),
            "feed_forward.in_proj.weight": torch.randn(4 * dim, dim) * dim**-0.5,
            "feed_forward.out_proj.weight": torch.randn(dim, 4 * dim) * dim**-0.5,
            "feed_forward.gain": torch.rand(2 * dim + 1),
        }
        weights |= {f"blocks.{i}.{name}": tensor for name, tensor in block.items()}
    config = dict(
        model_type="signalllm", vocab_size=vocab, dim=dim, layers=layers, heads=heads, max_length=length,
        window=0, attention="wavelet", opened=0, absolute_positions=False, adaptive_basis=False,
        attention_filter="short", fourier_filter="short", attention_fraction=1 / heads, rotary=True,
        qk_norm=False, fourier_norm=True, activation="squared_relu")
    return config, weights


def test_the_program_reads_what_python_wrote(text, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    config, weights = random_model(256, 32, 2, 4, 40)
    (folder / "config.json").write_text(json.dumps(config))
    safetensors.save_file(weights, folder / "model.safetensors")
    run("import", "--model", folder, "--out", tmp_path / "run", "--tokenizer", "bytes")
    scored = json.loads(run("eval", "--run", tmp_path / "run", "--data", text, "--json", "--threads", "1"))
    # Windows of inputs and the tokens after them, none overlapping.
    tokens = torch.tensor(list(text.read_bytes()))
    count = (len(tokens) - 1) // 40
    assert scored["windows"] == count and scored["step"] == 0
    inputs, targets = tokens[: count * 40].view(-1, 40), tokens[1 : count * 40 + 1].view(-1, 40)
    logits = signalllm_model.forward(*signalllm_model.load(folder), inputs)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    assert scored["loss"] == pytest.approx(loss.item(), abs=1e-5)
    # And writes it as it was.
    run("export", "--run", tmp_path / "run", "--out", tmp_path / "again", "--example")
    again = safetensors.load_file(tmp_path / "again" / "model.safetensors")
    assert again.keys() == weights.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in weights.items())
    example = safetensors.load_file(tmp_path / "again" / "example.safetensors")
    logits = signalllm_model.forward(config, weights, example["tokens"])
    torch.testing.assert_close(logits, example["logits"], rtol=0, atol=1e-5)


def test_the_page_s_code(text, tmp_path, monkeypatch):
    train(text, tmp_path / "runs" / "book", SMALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "examples")
    for line in re.findall(r"^signalllm (.*)$", PAGE, re.M):
        run(*line.replace("more.txt", str(text)).replace("--steps 500", "--steps 2").split())
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S))
    loaded = '"build/release/libsignalllm.so"'
    assert code.count(loaded) == 1 and "assert" in code
    exec(compile(code.replace(loaded, repr(LIBRARY)), "export.md", "exec"), {})
    run("import", "--model", "book", "--out", "runs/changed")
