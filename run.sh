#!/usr/bin/env bash
# The one entrance: installs what is missing, builds, runs. See ./run.sh help.
# Written for bash 3.2, which macOS has.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$PWD
build=$root/build/release
logs=$root/build/logs
system=$(uname -s)
cmake_minimum=3.25
torch_minimum=2.11

usage() {
  cat <<'TEXT'
Usage: ./run.sh COMMAND [ARGUMENTS]

  demo [...]     train a small language model on this machine in minutes and
                 let it write; every argument goes to `signalllm demo`
  test [...]     build everything and run all tests; arguments go to ctest
                 (./run.sh test -R wavedec)
  train, eval, generate, evolve [...]
                 the program's other commands (./run.sh train --help)
  bench [wavelets ...]
                 the wavelet operators beside a copy and their peers, on this
                 machine: table and picture
  visualize [--out DIR] [--run DIR]
                 pictures of transforms, attention, filters and embedding, in
                 benchmarks/ unless --out says otherwise
  build          build everything, run nothing
  setup          install what the tests need, build nothing (for CMake's
                 presets: cmake --workflow --preset dev)
  format         format the C++ sources (format --check only looks)
  docs           write the reference of the C++ interface to build/docs/html
  mps-cross [2.15.0]
                 on Linux: library and program for macOS on Apple's
                 processors, against that torch's wheel (default 2.11.0)
  help           this text

Each command first installs what is missing: Debian or Ubuntu packages (sudo
only when you are not root), Homebrew's on macOS, and Python packages in .venv
(`demo` 1.5 GB with the compiler, `test` 4 GB). A second call starts at once.

Environment
  SIGNALLLM_PYTHON  a python3 that has torch 2.11 to 2.15: use that torch and
                    leave it as it is (extra tools go to .venv-extra)
  SIGNALLLM_JOBS    compile and test jobs; default: as many as cores and
                    memory (1.5 GB a job) allow
TEXT
}

say() { printf '== %s\n' "$*" >&2; }
die() {
  printf 'run.sh: %s\n' "$*" >&2
  exit 1
}

# version_at_least 3.26.1 3.25
version_at_least() {
  local have=$1 want=$2
  local have_major=${have%%.*} want_major=${want%%.*}
  local have_minor=${have#*.} want_minor=${want#*.}
  have_minor=${have_minor%%[!0-9]*}
  [ "$have_major" -gt "$want_major" ] ||
    { [ "$have_major" -eq "$want_major" ] && [ "$have_minor" -ge "$want_minor" ]; }
}

# One line on why an installer failed, from its log.
reason() {
  if grep -qiE 'from versions: none|resolv|resolution|service not known|servname|new connection|Max retries|unreachable|timed out|to connect|connection (refused|reset)|ProxyError' "$1"; then
    echo "no network? See $1"
  elif grep -qiE 'No space left' "$1"; then
    echo "the disk is full. See $1"
  else
    echo "$(grep -iE 'error|^E:|No module' "$1" | tail -1 || true) See $1"
  fi
}

# logged NAME COMMAND...: the output goes to build/logs/NAME.log.
logged() {
  local log=$logs/$1.log
  shift
  mkdir -p "$logs"
  "$@" >"$log" 2>&1 </dev/null
}

# ---- System packages ----------------------------------------------------------
have_header() {
  local folder
  for folder in /usr/include /usr/local/include /opt/homebrew/include \
    ${CPATH:+${CPATH//:/ }} ${CONDA_PREFIX:+"$CONDA_PREFIX/include"}; do
    [ ! -e "$folder/$1" ] || return 0
  done
  return 1
}

have_compiler() {
  if [ -n "${CXX:-}" ]; then
    command -v "${CXX%% *}" >/dev/null
  elif [ "$system" = Darwin ]; then
    xcode-select -p >/dev/null 2>&1
  else
    command -v c++ >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null
  fi
}

install_debian() {
  local sudo=
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      die "missing packages, and no sudo here. As root: apt-get install $*"
    sudo=sudo
    [ -t 0 ] || sudo='sudo -n'
    # Asks for the password where it can be seen, before the log takes over.
    $sudo true || die "missing packages. As root: apt-get install $*"
  fi
  say "Installing Debian packages: $*"
  logged apt-update $sudo env DEBIAN_FRONTEND=noninteractive apt-get update || true
  logged apt-install $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y \
    --no-install-recommends -o APT::Keep-Downloaded-Packages=false "$@" || {
    cat "$logs/apt-update.log" >>"$logs/apt-install.log"
    die "could not install $*: $(reason "$logs/apt-install.log")"
  }
}

# install_system demo|test
install_system() {
  local missing= formulae= wanted item header package formula
  have_compiler || missing=g++
  wanted="CLI/CLI.hpp:libcli11-dev:cli11
    nlohmann/json.hpp:nlohmann-json3-dev:nlohmann-json"
  if [ "$1" = test ]; then
    wanted="$wanted
      gtest/gtest.h:libgtest-dev:googletest
      gmock/gmock.h:libgmock-dev:googletest
      rapidcheck.h:librapidcheck-dev:rapidcheck
      sentencepiece_trainer.h:libsentencepiece-dev:sentencepiece"
  fi
  for item in $wanted; do
    IFS=: read -r header package formula <<<"$item"
    have_header "$header" || {
      missing="$missing $package"
      case " $formulae " in *" $formula "*) ;; *) formulae="$formulae $formula" ;; esac
    }
  done
  [ -n "$missing" ] || return 0
  if [ "$system" = Darwin ]; then
    have_compiler || die "no C++ compiler. Run: xcode-select --install"
    command -v brew >/dev/null || die "missing packages, and no Homebrew to install them with:$formulae"
    say "Installing with Homebrew:$formulae"
    # shellcheck disable=SC2086
    logged brew brew install $formulae || die "could not install$formulae: $(reason "$logs/brew.log")"
  elif command -v apt-get >/dev/null; then
    # shellcheck disable=SC2086
    install_debian $missing
  elif have_compiler; then
    die "missing libraries and no apt-get or Homebrew here; install what Debian calls:$missing"
  else
    die "no C++ compiler, and no apt-get or Homebrew to install one; install g++ 11 or newer"
  fi
  have_compiler || die "no C++ compiler; install g++ 11 or newer"
}

# ---- Python and its packages ----------------------------------------------------
find_python() {
  local candidate
  for candidate in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' \
      >/dev/null 2>&1; then
      command -v "$candidate"
      return
    fi
  done
  die "no Python 3.10 to 3.14 found; install one, or name one with torch by SIGNALLLM_PYTHON"
}

make_venv() {
  local base=${base_python:-}
  [ -n "$base" ] || base=$(find_python)
  if ! logged venv "$base" -m venv --clear "$root/.venv"; then
    # Debian's Python comes without ensurepip; the package is named by version.
    if [ "${base#/usr/bin/}" != "$base" ] && command -v apt-get >/dev/null; then
      install_debian "python3-venv"
      logged venv "$base" -m venv --clear "$root/.venv" ||
        die "$base cannot make a virtual environment. See $logs/venv.log"
    else
      die "$base cannot make a virtual environment (python3 -m venv). See $logs/venv.log"
    fi
  fi
}

# pip_install WHAT ARGUMENTS...
pip_install() {
  local what=$1
  shift
  "$python" -m pip --version >/dev/null 2>&1 || die "$python has no pip to install $what with"
  logged pip "$python" -m pip install --disable-pip-version-check --no-input \
    --no-cache-dir --no-deps --no-compile --retries 2 "$@" ||
    die "could not install $what: $(reason "$logs/pip.log")"
}

# What torch on the CPU never loads and weighs more than all else, the other
# half of the CUDA wheel; `test` brings it back, for Python's torch wants it.
cuda_half='lib/libtorch_cuda*.so lib/libtorch_nvshmem.so bin/protoc* bin/ptxas'

drop_cuda_half() {
  local pattern
  for pattern in $cuda_half; do
    # shellcheck disable=SC2086
    rm -f "$torch_root"/$pattern
  done
}

restore_cuda_half() {
  local downloads=$root/build/downloads
  rm -rf "$downloads"
  mkdir -p "$downloads"
  logged pip-download "$python" -m pip download --disable-pip-version-check --no-input \
    --no-cache-dir --no-deps --retries 2 -d "$downloads" "$(grep '^torch==' requirements.txt)" ||
    die "could not fetch torch: $(reason "$logs/pip-download.log")"
  # Only what is missing: new time stamps on headers would rebuild everything.
  "$python" - "$downloads"/torch-*.whl "$torch_root" <<'PYTHON'
import os, sys, zipfile
wheel, root = sys.argv[1:]
with zipfile.ZipFile(wheel) as files:
    for item in files.infolist():
        target = os.path.join(os.path.dirname(root), item.filename)
        if item.filename.startswith(("torch/lib/", "torch/bin/")) and not os.path.exists(target):
            files.extract(item, os.path.dirname(root))
            os.chmod(target, 0o755)
PYTHON
  rm -rf "$downloads"
}

locate_torch() {
  local found
  found=$("$python" -c '
import importlib.util, os, re
spec = importlib.util.find_spec("torch")
root = spec.submodule_search_locations[0]
text = open(os.path.join(root, "version.py")).read()
print(root, re.search(r"__version__ = .(\d+\.\d+)", text).group(1))' 2>/dev/null) || return 1
  torch_root=${found% *}
  torch_version=${found##* }
}

# need_module MODULE REQUIREMENT: appends to the list `extra`.
need_module() {
  "$python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec(sys.argv[1]) is None)' "$1" ||
    extra="$extra $2"
}

# pinned PACKAGE...: the requirement lines that name them.
pinned() {
  local package
  for package in "$@"; do
    grep -hiE "^$package==" requirements.txt requirements-test.txt
  done
}

# SIGNALLLM_PYTHON: its torch stays as it is; what it lacks goes beside it.
use_given_python() {
  local extra= lines
  python=$(command -v "$SIGNALLLM_PYTHON") || die "SIGNALLLM_PYTHON: $SIGNALLLM_PYTHON is no program"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
    die "SIGNALLLM_PYTHON: $python is not Python 3.10 or newer"
  locate_torch || die "SIGNALLLM_PYTHON: $python has no torch; torch $torch_minimum or newer is needed"
  version_at_least "$torch_version" "$torch_minimum" ||
    die "torch $torch_version of $python is too old; torch $torch_minimum or newer is needed"
  extras=$root/.venv-extra
  export PYTHONPATH=$extras${PYTHONPATH:+:$PYTHONPATH}
  need_module numpy numpy
  need_module matplotlib 'matplotlib contourpy cycler kiwisolver packaging pillow pyparsing python-dateutil six'
  if [ "$1" = test ]; then
    need_module pywt PyWavelets
    need_module ptwt ptwt
    need_module safetensors safetensors
    need_module pytest 'pytest iniconfig packaging pluggy pygments exceptiongroup tomli'
  fi
  [ -n "$extra" ] || return 0
  say "Installing Python packages beside $python:$extra"
  mkdir -p "$extras"
  # shellcheck disable=SC2086
  lines=$(pinned $extra | sort -u)
  printf '%s\n' "$lines" >"$extras/requirements.txt"
  pip_install "Python packages beside $python" --upgrade --target "$extras" -r "$extras/requirements.txt"
}

# use_venv demo|test: .venv with the pinned packages. Stamps hold what was
# installed; the test's install contains the demo's.
use_venv() {
  local stamps=$root/.venv/.signalllm demo_stamp test_stamp
  demo_stamp=$(cksum <requirements.txt)
  test_stamp=$(cat requirements.txt requirements-test.txt | cksum)
  python=$root/.venv/bin/python3
  extras=
  "$python" -m pip --version >/dev/null 2>&1 || make_venv
  mkdir -p "$stamps"
  if [ "$(cat "$stamps/test" 2>/dev/null)" = "$test_stamp" ]; then
    locate_torch && return 0
  fi
  if [ "$1" = demo ]; then
    if [ "$(cat "$stamps/demo" 2>/dev/null)" = "$demo_stamp" ]; then
      locate_torch && return 0
    fi
    say "Installing Python packages in .venv: torch 2.11.0 and what draws pictures (a download of 0.6 GB)"
    pip_install "torch and other Python packages" -r requirements.txt
    locate_torch || die "torch was installed but cannot be found in $root/.venv"
    drop_cuda_half
    rm -f "$stamps/test"
    echo "$demo_stamp" >"$stamps/demo"
  else
    say "Installing Python packages in .venv: torch 2.11.0 and what tests compare with (a download of 2 GB)"
    pip_install "torch and other Python packages" -r requirements.txt -r requirements-test.txt
    locate_torch || die "torch was installed but cannot be found in $root/.venv"
    [ "$system" != Linux ] || [ -e "$torch_root/lib/libtorch_cuda.so" ] || restore_cuda_half
    logged import "$python" -c 'import torch' || die "torch cannot be imported. See $logs/import.log"
    rm -f "$stamps/demo"
    echo "$test_stamp" >"$stamps/test"
  fi
}

# ---- CMake and Ninja ------------------------------------------------------------
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

# ---- Build ----------------------------------------------------------------------
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
  local tests=$1 stamp wanted
  stamp=$build/.configured
  if [ "$tests" = OFF ] && grep -qs 'SIGNALLLM_BUILD_TESTS=ON' "$stamp"; then
    tests=ON
  fi
  wanted="$cmake $ninja $python $torch_root $torch_version ${CXX:-} ${CXXFLAGS:-} $(cksum <CMakePresets.json) SIGNALLLM_BUILD_TESTS=$tests"
  if [ -e "$build/build.ninja" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    return 0
  fi
  say "Configuring"
  mkdir -p "$build"
  logged configure "$cmake" --preset release -DCMAKE_MAKE_PROGRAM="$ninja" \
    -DPython3_EXECUTABLE="$python" -DSIGNALLLM_TORCH_ROOT="$torch_root" \
    -DSIGNALLLM_BUILD_TESTS="$tests" || {
    cat "$logs/configure.log" >&2
    die "CMake could not configure the build. See $logs/configure.log"
  }
  echo "$wanted" >"$stamp"
}

# prepare demo|test
prepare() {
  [ -n "${SIGNALLLM_PYTHON:-}" ] || [ -x .venv/bin/python3 ] || base_python=$(find_python)
  install_system "$1"
  if [ -n "${SIGNALLLM_PYTHON:-}" ]; then
    use_given_python "$1"
  else
    use_venv "$1"
  fi
  install_tools
  # Where the program finds the Python that draws its pictures.
  export SIGNALLLM_PYTHON=$python
  jobs=$(job_count)
}

compile() {
  "$cmake" --build "$build" --parallel "$jobs" "$@" >&2 || die "the build failed"
}

run_program() {
  prepare demo
  configure OFF
  compile --target signalllm_app
  exec "$build/signalllm" "$@"
}

# The operators beside their peers; other benchmarks belong to the program.
run_bench() {
  case ${1:-wavelets} in
    wavelets) ;;
    *) run_program bench "$@" ;;
  esac
  [ $# -eq 0 ] || shift
  prepare test
  "$python" -c 'import torchwavelets' >/dev/null 2>&1 ||
    pip_install torchwavelets ${extras:+--upgrade --target "$extras"} torchwavelets==0.1.1
  configure ON
  compile --target signalllm
  SIGNALLLM_LIBRARY=$(echo "$build"/libsignalllm.*) exec "$python" benchmarks/wavelets.py "$@"
}

run_tests() {
  prepare test
  configure ON
  compile
  cd "$build"
  exec "$(dirname "$cmake")/ctest" --output-on-failure --no-tests=error --parallel "$jobs" "$@"
}

format() {
  local tool candidate
  for candidate in clang-format-14 clang-format "$root/.venv/bin/clang-format"; do
    if "$candidate" --version 2>/dev/null | grep -q 'version 14\.'; then
      tool=$candidate
      break
    fi
  done
  if [ -z "${tool:-}" ]; then
    # The pinned version wherever it runs: others break lines elsewhere.
    python=$root/.venv/bin/python3
    "$python" -m pip --version >/dev/null 2>&1 || make_venv
    say "Installing with pip: clang-format==14.0.6"
    pip_install clang-format clang-format==14.0.6
    tool=$root/.venv/bin/clang-format
  fi
  if [ "${1:-}" = --check ]; then
    git ls-files -z '*.h' '*.cpp' '*.cu' '*.cuh' | xargs -0 "$tool" --dry-run --Werror ||
      die "the format differs; ./run.sh format mends it"
  else
    git ls-files -z '*.h' '*.cpp' '*.cu' '*.cuh' | xargs -0 "$tool" -i
  fi
}

docs() {
  command -v doxygen >/dev/null ||
    if [ "$system" = Darwin ] && command -v brew >/dev/null; then
      logged brew brew install doxygen || die "could not install doxygen: $(reason "$logs/brew.log")"
    elif command -v apt-get >/dev/null; then
      install_debian doxygen
    else
      die "no doxygen, and no apt-get or Homebrew to install it"
    fi
  mkdir -p "$root/build"
  local version
  version=$(sed -n 's/^#define SIGNALLLM_VERSION_[A-Z]* *//p' include/signalllm/version.h | paste -sd. -)
  { cat docs/Doxyfile && echo "PROJECT_NUMBER = $version"; } | doxygen - ||
    die "Doxygen has complaints"
  say "Written: build/docs/html/index.html"
}

command=${1:-help}
[ $# -eq 0 ] || shift
case $command in
  demo | train | eval | generate | evolve | visualize) run_program "$command" "$@" ;;
  bench) run_bench "$@" ;;
  test) run_tests "$@" ;;
  build)
    prepare test
    configure ON
    compile
    ;;
  setup) prepare test ;;
  format) format "$@" ;;
  docs) docs ;;
  mps-cross)
    # shellcheck source=scripts/mps_cross.sh
    . scripts/mps_cross.sh
    run_mps_cross "$@"
    ;;
  help | -h | --help) usage ;;
  *)
    usage >&2
    die "no command named $command"
    ;;
esac
