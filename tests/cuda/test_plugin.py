"""The plug-in with the CUDA kernels loads, on a machine without a GPU too, and no
operator was forgotten in it."""
import os

import torch

# The same on every device, by way of operators that have kernels.
COMPOSITE = {"wavedec.out", "waverec.out", "wavedec_backward", "waverec_backward"}


def operators_without_kernel():
    prefix = "signalllm::"
    return {
        name.removeprefix(prefix)
        for name in torch._C._dispatch_get_all_op_names()
        if name.startswith(prefix)
        and not torch._C._dispatch_has_kernel_for_dispatch_key(name, "CUDA")
    }


def test_every_operator_has_a_kernel():
    torch.ops.load_library(os.environ["SIGNALLLM_LIBRARY"])
    # SIGNALLLM_NO_CUDA: the library has not loaded a plug-in by itself.
    operators = operators_without_kernel()
    assert operators >= COMPOSITE | {"wavedec", "fft_conv", "tree_attention"}
    torch.ops.load_library(os.environ["SIGNALLLM_PLUGIN"])
    assert operators_without_kernel() == COMPOSITE
