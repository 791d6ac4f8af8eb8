"""Writes the inputs that the fuzz targets start from: make_seeds.py FOLDER."""
import json
import pathlib
import struct
import sys


def safetensors(header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(data)


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


WEIGHTS = {
    "one": safetensors({"x": entry("F32", [2], 0, 8)}, 8),
    "two": safetensors(
        {"__metadata__": {"format": "pt"}, "a": entry("BF16", [2, 3], 0, 12),
         "b": entry("I64", [], 12, 20), "c": entry("U8", [0, 4], 20, 20)}, 20),
    "types": safetensors(
        {t: entry(t, [1], 8 * i, 8 * i + 8) for i, t in enumerate(["F64", "I64", "U64", "C64"])}, 32),
    "empty": safetensors({}, 0),
    "large": safetensors({"x": entry("F32", [2**62, 0], 0, 0)}, 0),
    "twice": safetensors(b'{"x": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}, "x": 1}', 1),
    "no": b"",
}
STATE = {"step": 1, "files": {"model.safetensors": {"bytes": 80, "crc32c": 1}},
         "state": {"rows": 12}, "crc32c": 1}
CONFIG = {
    "program": "signalllm", "torch": "2.11.0",
    "settings": {"data": "a.txt", "valid-fraction": 0.1, "dim": 16, "lr": 2e-3, "seed": 1,
                 "schedule": "cosine", "steps": 10},
    "model": {"vocab_size": "256", "dim": "16", "wavelet": "db2", "rotary": "true",
              "feed_forward": "channel", "dropout": "0.1"},
}
TOML = 'steps = 3\nlr = 1e-3 # a comment\n[train]\ndim = 16\nschedule = "linear"\n[generate]\ntokens = 5\n'
OPTIONS = "vocab_size=256\ndim=64\nattention_filter=short\nactivation=gelu\nlevels=-1\n"
CHARS = {"kind": "chars", "characters": "ab\n\u20ac\U0001f600"}

SEEDS = {
    "safetensors": WEIGHTS,
    "checkpoint": {name: json.dumps(STATE).encode() + b"\0" + data for name, data in WEIGHTS.items()},
    "config": {
        "config": b"\0" + json.dumps(CONFIG).encode(),
        "bytes": b'\1{"kind": "bytes"}',
        "chars": b"\1" + json.dumps(CHARS, ensure_ascii=False).encode(),
        "toml": b"\2" + TOML.encode(),
        "options": b"\3" + OPTIONS.encode(),
    },
}

if __name__ == "__main__":
    for target, seeds in SEEDS.items():
        folder = pathlib.Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in seeds.items():
            (folder / name).write_bytes(data)
