# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154
# Sourced by run.sh: packages of Debian, Ubuntu and Homebrew.

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
