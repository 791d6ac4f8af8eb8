# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154
# Sourced by run.sh: Python and its packages, torch among them.

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
    need_module tensorboard 'tensorboard protobuf absl-py'
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
