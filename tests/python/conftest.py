"""Loads the library that SIGNALLLM_LIBRARY names (default: the release build)."""
import os
import pathlib

import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = os.environ.get(
    "SIGNALLLM_LIBRARY", str(ROOT / "build" / "release" / "libsignalllm.so")
)
torch.ops.load_library(LIBRARY)
torch.set_num_threads(1)
