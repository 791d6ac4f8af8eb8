# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154
# Sourced by run.sh: whether the CUDA plug-in is built, and for which GPUs.

find_nvcc() {
  local candidate
  for candidate in ${CUDACXX:-} "$(command -v nvcc || true)" \
    ${CUDA_HOME:+"$CUDA_HOME/bin/nvcc"} /usr/local/cuda/bin/nvcc; do
    if [ -x "$candidate" ] && "$candidate" --version >/dev/null 2>&1; then
      echo "$candidate"
      return 0
    fi
  done
  return 1
}

have_gpu() { [ -e /dev/nvidiactl ] || [ -e /dev/dxg ]; }

# choose_cuda demo|test|all: sets `nvcc`, empty where the plug-in is not built,
# `plugin`, its target where it is built to be used, and else `cuda_check`. It is
# used on the GPU that is there, with SIGNALLLM_CUDA=on on another machine's;
# without either, what builds all compiles it, since much of it is read by no
# other compiler.
choose_cuda() {
  nvcc=
  plugin=
  cuda_check=
  case ${SIGNALLLM_CUDA:-auto} in
    off) return 0 ;;
    auto | on) ;;
    *) die "SIGNALLLM_CUDA is $SIGNALLLM_CUDA; there are auto, on and off" ;;
  esac
  if [ "$system" = Linux ]; then
    nvcc=$(find_nvcc) || nvcc=
  fi
  if [ "${SIGNALLLM_CUDA:-auto}" = on ]; then
    [ -n "$nvcc" ] || die "SIGNALLLM_CUDA=on, and no CUDA toolkit: nvcc is not on PATH, in CUDA_HOME or in /usr/local/cuda"
  elif ! have_gpu; then
    # A build that has it keeps it, as it keeps tests: `demo` then has nothing
    # to configure.
    if [ "$1" = all ] || grep -qs 'SIGNALLLM_CUDA_CHECK=ON' "$build/.configured"; then
      cuda_check=${nvcc:+ON}
    else
      nvcc=
    fi
    return 0
  elif [ "$system" = Linux ] && [ -z "$nvcc" ]; then
    say "A GPU and no CUDA toolkit: without nvcc its kernels are torch's, not ours"
  fi
  plugin=${nvcc:+signalllm_cuda}
}

# Toolkit and torch must be of one CUDA, by its first number.
match_cuda() {
  local toolkit torch
  [ -n "$nvcc" ] || return 0
  toolkit=$("$nvcc" --version | sed -n 's/.*release \([0-9]*\)\..*/\1/p')
  torch=$(sed -n "s/^cuda[^=]*= '\([0-9]*\)\..*/\1/p" "$torch_root/version.py")
  [ -e "$torch_root/lib/libtorch_cuda.so" ] || torch=
  [ "$toolkit" != "$torch" ] || return 0
  local why="the CUDA toolkit is ${toolkit:-unknown}, torch is built for ${torch:-the CPU}"
  [ "${SIGNALLLM_CUDA:-auto}" != on ] || die "SIGNALLLM_CUDA=on, and $why"
  say "No CUDA kernels: $why"
  nvcc=
  plugin=
  cuda_check=
}

# The GPUs of this machine as CMake names them, such as 80;90.
cuda_architectures() {
  nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null |
    tr -d '.' | grep -xE '[0-9]+' | sort -u | paste -sd';' - || true
}
