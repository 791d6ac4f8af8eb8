# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154
# Sourced by run.sh: `docs`, the reference of the C++ interface.

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
