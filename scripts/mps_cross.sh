# shellcheck shell=bash
# Sourced by run.sh: `mps-cross [VERSION]`, library and program for arm64 macOS,
# compiled and linked on Linux against torch's real wheel for macOS.

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
  rm -rf "$prefix/include" "$prefix/share/cmake"
  mkdir -p "$prefix/include" "$prefix/share/cmake"
  for name in CLI nlohmann; do
    cp -R "/usr/include/$name" "$prefix/include/"
  done
  for name in CLI11 nlohmann_json; do
    cp -R "/usr/share/cmake/$name" "$prefix/share/cmake/"
  done
}

run_mps_cross() {
  local version=${1:-2.11.0} tools=$root/build/macos-tools folder zig
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
  say "Configuring"
  logged configure-macos "$cmake" --preset macos-cross -B "$folder" \
    -DCMAKE_MAKE_PROGRAM="$ninja" -DSIGNALLLM_ZIG="$zig" \
    -DPython3_EXECUTABLE="$python" -DSIGNALLLM_TORCH_ROOT="$tools/torch-$version/torch" \
    -DCMAKE_PREFIX_PATH="$tools/prefix" -DSIGNALLLM_BUILD_TESTS=OFF || {
    cat "$logs/configure-macos.log" >&2
    die "CMake could not configure the build. See $logs/configure-macos.log"
  }
  "$cmake" --build "$folder" --parallel "$jobs" >&2 || die "the build failed"
  "$python" scripts/macho.py "$folder/libsignalllm.dylib" --needs MetalShaderLibrary
  "$python" scripts/macho.py "$folder/signalllm"
}
