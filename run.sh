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
  train, eval, generate, evolve, tokenize, export, import [...]
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
                 on Linux: library, program and tests for macOS on Apple's
                 processors, against that torch's wheel (default 2.11.0)
  help           this text

Each command first installs what is missing: Debian or Ubuntu packages (sudo
only when you are not root), Homebrew's on macOS, and Python packages in .venv
(`demo` 1.5 GB with the compiler, `test` 4 GB). A second call starts at once.

Environment
  SIGNALLLM_PYTHON  a python3 that has torch 2.11 to 2.15: use that torch and
                    leave it as it is (extra tools go to .venv-extra)
  SIGNALLLM_CUDA    auto, on or off: the kernels for NVIDIA's GPUs, built by
                    themselves where a GPU and torch's CUDA toolkit are; where
                    only the toolkit is, `build` and `test` see that they
                    compile, link and load
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

for part in system python cuda build; do
  # shellcheck source=/dev/null
  . "scripts/$part.sh"
done

run_program() {
  prepare demo
  configure OFF
  compile --target signalllm_app ${plugin:+"$plugin"}
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
  compile --target signalllm ${plugin:+"$plugin"}
  SIGNALLLM_LIBRARY=$(echo "$build"/libsignalllm.*) exec "$python" benchmarks/wavelets.py "$@"
}

run_tests() {
  prepare all
  configure ON
  compile
  cd "$build"
  exec "$(dirname "$cmake")/ctest" --output-on-failure --no-tests=error --parallel "$jobs" "$@"
}

command=${1:-help}
[ $# -eq 0 ] || shift
case $command in
  demo | train | eval | generate | evolve | tokenize | export | import | visualize)
    run_program "$command" "$@" ;;
  bench) run_bench "$@" ;;
  test) run_tests "$@" ;;
  build)
    prepare all
    configure ON
    compile
    ;;
  setup) prepare all ;;
  format)
    # shellcheck source=scripts/format.sh
    . scripts/format.sh
    format "$@"
    ;;
  docs)
    # shellcheck source=scripts/docs.sh
    . scripts/docs.sh
    docs
    ;;
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
