# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154
# Sourced by run.sh: CMake, Ninja and the build.

# find_tool NAME MINIMUM: the path, from PATH or from where pip put it.
find_tool() {
  local candidate version
  for candidate in "$(command -v "$1" || true)" "$root/.venv/bin/$1" "$root/.venv-extra/bin/$1"; do
    [ -x "$candidate" ] || continue
    version=$("$candidate" --version 2>/dev/null | grep -oE '[0-9]+\.[0-9]+[0-9.]*' | head -1) || continue
    if [ -n "$version" ] && version_at_least "$version" "$2"; then
      echo "$candidate"
      return 0
    fi
  done
  return 1
}

install_tools() {
  local wanted= found
  # C++20 in CUDA sources
  [ -z "$nvcc" ] || cmake_minimum=3.26
  found=$(cmake --version 2>/dev/null | grep -oE '[0-9]+\.[0-9.]+' | head -1 || true)
  cmake=$(find_tool cmake "$cmake_minimum") || wanted="cmake==3.31.10"
  ninja=$(find_tool ninja 1.10) || wanted="$wanted ninja==1.13.0"
  [ -n "$wanted" ] || return 0
  say "Installing with pip: $wanted"
  # shellcheck disable=SC2086
  pip_install "$wanted (CMake $cmake_minimum or newer is needed${found:+, $found is on PATH})" \
    ${extras:+--upgrade --target "$extras"} $wanted
  cmake=$(find_tool cmake "$cmake_minimum") ||
    die "CMake $cmake_minimum or newer is needed, and what pip installed does not run"
  ninja=$(find_tool ninja 1.10) || die "Ninja is needed, and what pip installed does not run"
}

job_count() {
  local cores memory jobs
  if [ "$system" = Darwin ]; then
    cores=$(sysctl -n hw.ncpu)
    memory=$(($(sysctl -n hw.memsize) / 1048576))
  else
    cores=$(getconf _NPROCESSORS_ONLN)
    memory=$(($(awk '/MemAvailable/ {print $2}' /proc/meminfo) / 1024))
  fi
  jobs=$((memory / 1536))
  [ "$jobs" -le "$cores" ] || jobs=$cores
  [ "$jobs" -ge 1 ] || jobs=1
  echo "${SIGNALLLM_JOBS:-$jobs}"
}

# configure ON|OFF: with or without tests. A build that has them keeps them.
configure() {
  local tests=$1 cuda=${nvcc:+ON} architectures='' stamp wanted
  stamp=$build/.configured
  if [ "$tests" = OFF ] && grep -qs 'SIGNALLLM_BUILD_TESTS=ON' "$stamp"; then
    tests=ON
  fi
  [ -z "$cuda" ] || architectures=$(cuda_architectures)
  wanted="$cmake $ninja $python $torch_root $torch_version ${CXX:-} ${CXXFLAGS:-} $(cksum <CMakePresets.json) SIGNALLLM_BUILD_TESTS=$tests SIGNALLLM_CUDA=${cuda:-OFF} SIGNALLLM_CUDA_CHECK=${cuda_check:-OFF} $nvcc $architectures"
  if [ -e "$build/build.ninja" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    return 0
  fi
  say "Configuring${cuda_check:+, with a check of the CUDA kernels (SIGNALLLM_CUDA=off: without)}"
  mkdir -p "$build"
  logged configure "$cmake" --preset release -DCMAKE_MAKE_PROGRAM="$ninja" \
    -DPython3_EXECUTABLE="$python" -DSIGNALLLM_TORCH_ROOT="$torch_root" \
    -DSIGNALLLM_BUILD_TESTS="$tests" -DSIGNALLLM_CUDA="${cuda:-OFF}" \
    -DSIGNALLLM_CUDA_CHECK="${cuda_check:-OFF}" ${cuda:+-DCMAKE_CUDA_COMPILER="$nvcc"} \
    ${architectures:+-DCMAKE_CUDA_ARCHITECTURES="$architectures"} || {
    cat "$logs/configure.log" >&2
    die "CMake could not configure the build${cuda:+ (SIGNALLLM_CUDA=off leaves the CUDA kernels out)}. See $logs/configure.log"
  }
  echo "$wanted" >"$stamp"
}

# prepare demo|test|all: what tests need, and all what the CUDA check needs, too
prepare() {
  local needs=$1
  choose_cuda "$1"
  [ "$needs" != all ] || needs='test'
  [ -n "${SIGNALLLM_PYTHON:-}" ] || [ -x .venv/bin/python3 ] || base_python=$(find_python)
  install_system "$needs"
  if [ -n "${SIGNALLLM_PYTHON:-}" ]; then
    use_given_python "$needs"
  else
    # torch's CUDA half needs NVIDIA's libraries, which the demo else leaves out.
    [ -z "$plugin" ] || needs='test'
    use_venv "$needs"
  fi
  match_cuda
  install_tools
  # Where the program finds the Python that draws its pictures.
  export SIGNALLLM_PYTHON=$python
  jobs=$(job_count)
}

compile() {
  "$cmake" --build "$build" --parallel "$jobs" "$@" >&2 || die "the build failed"
}
