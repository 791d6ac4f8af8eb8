# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154
# Sourced by run.sh: `format [--check]`.

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
