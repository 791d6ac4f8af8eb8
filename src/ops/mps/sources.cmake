# The kernels for Apple's GPUs. On macOS they are part of libsignalllm; on
# Linux, whose torch has no Metal, of the tests alone (tests/mps), which bring a
# stand-in for torch's MetalShaderLibrary.
include(EmbedMetal)
set(_mps "${CMAKE_CURRENT_LIST_DIR}")

# One text: the prelude first, then a file an operator.
set(SIGNALLLM_METAL_FILES
  "${_mps}/prelude.metal"
  "${_mps}/causal_filter.metal"
  "${_mps}/causal_tile.metal"
  "${_mps}/causal_wavedec.metal"
  "${_mps}/causal_wavelet_filter.metal"
)
signal_embed_metal(metal_text ${SIGNALLLM_METAL_FILES})
set(SIGNALLLM_METAL_TEXT "${CMAKE_CURRENT_BINARY_DIR}/metal_text.metal")

set(SIGNALLLM_MPS_SOURCES
  "${CMAKE_CURRENT_BINARY_DIR}/metal_text.cpp"
  "${_mps}/library.cpp"
  "${_mps}/causal_filter_kernel.cpp"
  "${_mps}/causal_tile.cpp"
  "${_mps}/causal_wavedec_kernel.cpp"
  "${_mps}/causal_wavelet_filter_kernel.cpp"
)
