# The kernels for Apple's GPUs. On macOS they are part of libsignalllm; on
# Linux, whose torch has no Metal, of the tests alone (tests/mps), which bring a
# stand-in for torch's MetalShaderLibrary.
include(EmbedMetal)
set(_mps "${CMAKE_CURRENT_LIST_DIR}")

# One text: the prelude first, then a file an operator.
set(SIGNALLLM_METAL_FILES
  "${_mps}/prelude.metal"
  "${_mps}/attention_heads.metal"
  "${_mps}/bank.metal"
  "${_mps}/wavedec.metal"
  "${_mps}/waverec.metal"
  "${_mps}/bank_gradient.metal"
  "${_mps}/causal_filter.metal"
  "${_mps}/causal_tile.metal"
  "${_mps}/causal_wavedec.metal"
  "${_mps}/causal_wavelet_filter.metal"
  "${_mps}/fourier_taps.metal"
  "${_mps}/gated_fft_conv.metal"
  "${_mps}/rms_norm.metal"
  "${_mps}/squared_relu.metal"
  "${_mps}/tree_attention.metal"
  "${_mps}/tree_attention_backward.metal"
)
signal_embed_metal(metal_text ${SIGNALLLM_METAL_FILES})
set(SIGNALLLM_METAL_TEXT "${CMAKE_CURRENT_BINARY_DIR}/metal_text.metal")

set(SIGNALLLM_MPS_SOURCES
  "${CMAKE_CURRENT_BINARY_DIR}/metal_text.cpp"
  "${_mps}/library.cpp"
  "${_mps}/attention_heads_kernel.cpp"
  "${_mps}/bank.cpp"
  "${_mps}/bank_gradient.cpp"
  "${_mps}/bank_part.cpp"
  "${_mps}/causal_filter_kernel.cpp"
  "${_mps}/causal_tile.cpp"
  "${_mps}/causal_wavedec_kernel.cpp"
  "${_mps}/causal_wavelet_filter_kernel.cpp"
  "${_mps}/fourier_taps_kernel.cpp"
  "${_mps}/gated_fft_conv_kernel.cpp"
  "${_mps}/rms_norm_kernel.cpp"
  "${_mps}/squared_relu_kernel.cpp"
  "${_mps}/tile_plan.cpp"
  "${_mps}/tree_attention_kernel.cpp"
  "${_mps}/wavedec_kernel.cpp"
  "${_mps}/waverec_kernel.cpp"
)

# "attention_heads","causal_filter",...: the operators that have kernels.
set(SIGNALLLM_METAL_STEMS ${SIGNALLLM_MPS_SOURCES})
list(FILTER SIGNALLLM_METAL_STEMS INCLUDE REGEX "_kernel\\.cpp$")
list(TRANSFORM SIGNALLLM_METAL_STEMS REPLACE ".*/(.*)_kernel\\.cpp$" "\"\\1\"")
list(JOIN SIGNALLLM_METAL_STEMS "," SIGNALLLM_METAL_STEMS)
