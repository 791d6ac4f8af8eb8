# shellcheck shell=bash
# Sourced by run.sh: `mps-cross [VERSION]`, library, program and tests for arm64
# macOS, compiled and linked on Linux against torch's real wheel for macOS.

mac_torch() {
  local version=$1 folder=$2 downloads=$root/build/downloads
  [ ! -e "$folder/torch/version.py" ] || return 0
  say "Fetching torch $version for macOS"
  rm -rf "$downloads" "$folder"
  mkdir -p "$downloads" "$folder"
  logged pip-download "$python" -m pip download --disable-pip-version-check --no-input \
    --no-cache-dir --no-deps --only-binary=:all: --python-version 3.11 \
    --platform macosx_14_0_arm64 --platform macosx_11_0_arm64 \
    -d "$downloads" "torch==$version" ||
    die "could not fetch torch $version for macOS: $(reason "$logs/pip-download.log")"
  "$python" -m zipfile -e "$downloads"/torch-*.whl "$folder"
  rm -rf "$downloads"
}

# The headers alone: Debian's own folder has another system's C library in it.
mac_headers() {
  local prefix=$1 name
  mkdir -p "$prefix/include" "$prefix/share/cmake"
  for name in CLI nlohmann; do
    cp -R "/usr/include/$name" "$prefix/include/"
  done
  for name in CLI11 nlohmann_json; do
    cp -R "/usr/share/cmake/$name" "$prefix/share/cmake/"
  done
}

# mac_library NAME SOURCE [ARGUMENTS]: builds it with CMake, into the prefix.
mac_library() {
  local name=$1 source=$2
  shift 2
  say "Building $name for macOS"
  logged "$name-macos" "$cmake" -G Ninja -S "$source" -B "$tools/$name" \
    -DCMAKE_MAKE_PROGRAM="$ninja" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_TOOLCHAIN_FILE="$root/cmake/macos-cross.cmake" -DSIGNALLLM_ZIG="$zig" \
    -DCMAKE_INSTALL_PREFIX="$tools/prefix" "$@" &&
    logged "$name-macos" "$cmake" --build "$tools/$name" --parallel "$jobs" --target install ||
    die "$name was not built. See $logs/$name-macos.log"
}

# Debian has the tests' libraries compiled for this machine: GoogleTest's source
# too, RapidCheck's (of the same commit) not.
mac_test_libraries() {
  local rapidcheck=$tools/rapidcheck-source
  [ ! -e "$tools/prefix/.complete" ] || return 0
  [ -d /usr/src/googletest ] || die "no /usr/src/googletest: apt-get install googletest"
  mac_library googletest /usr/src/googletest
  if [ ! -e "$rapidcheck/CMakeLists.txt" ]; then
    rm -rf "$rapidcheck"
    logged rapidcheck-clone git clone https://github.com/emil-e/rapidcheck "$rapidcheck" &&
      git -C "$rapidcheck" -c advice.detachedHead=false checkout -q 08b505857e32d52a20b2240b5125d937d67a6d86 ||
      die "could not fetch RapidCheck: $(reason "$logs/rapidcheck-clone.log")"
  fi
  mac_library rapidcheck "$rapidcheck" -DRC_ENABLE_GTEST=ON -DCMAKE_POLICY_VERSION_MINIMUM=3.5
  touch "$tools/prefix/.complete"
}

run_mps_cross() {
  local version=${1:-2.11.0} tools=$root/build/macos-tools folder zig name
  [ "$system" = Linux ] || die "mps-cross is for Linux; on macOS: ./run.sh test"
  [ -d /usr/share/cmake/nlohmann_json ] || command -v apt-get >/dev/null ||
    die "mps-cross takes CLI11's and nlohmann-json's headers from Debian's packages"
  prepare test
  folder=$root/build/macos-cross
  [ "$version" = 2.11.0 ] || folder=$folder-$version
  zig=$tools/ziglang/zig
  [ -x "$zig" ] || {
    say "Installing with pip: ziglang (a compiler for macOS, 0.1 GB)"
    pip_install ziglang --target "$tools" ziglang==0.17.1
  }
  mac_torch "$version" "$tools/torch-$version"
  mac_headers "$tools/prefix"
  mac_test_libraries
  say "Configuring"
  logged configure-macos "$cmake" --preset macos-cross -B "$folder" \
    -DCMAKE_MAKE_PROGRAM="$ninja" -DSIGNALLLM_ZIG="$zig" \
    -DPython3_EXECUTABLE="$python" -DSIGNALLLM_TORCH_ROOT="$tools/torch-$version/torch" \
    -DCMAKE_PREFIX_PATH="$tools/prefix" || {
    cat "$logs/configure-macos.log" >&2
    die "CMake could not configure the build. See $logs/configure-macos.log"
  }
  "$cmake" --build "$folder" --parallel "$jobs" >&2 || die "the build failed"
  "$python" scripts/macho.py "$folder/libsignalllm.dylib" --needs MetalShaderLibrary
  for name in signalllm signalllm_tests; do
    "$python" scripts/macho.py "$folder/$name"
  done
}
