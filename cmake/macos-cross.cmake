# Toolchain: arm64 macOS from Linux, by the Clang, the C++ library and the
# macOS symbols that PyPI's package ziglang carries. It compiles and links;
# nothing it makes runs here. Undefined symbols are errors, as ld's default on
# macOS is. SIGNALLLM_ZIG is the program zig of that package.
set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_VERSION 23.0.0)
set(CMAKE_SYSTEM_PROCESSOR arm64)

if(NOT SIGNALLLM_ZIG)
  set(SIGNALLLM_ZIG "$ENV{SIGNALLLM_ZIG}")
endif()
if(NOT EXISTS "${SIGNALLLM_ZIG}")
  message(FATAL_ERROR "SIGNALLLM_ZIG=\"${SIGNALLLM_ZIG}\" is no program: "
    "./run.sh mps-cross sets it, or pip install ziglang and give "
    "-DSIGNALLLM_ZIG=<site-packages>/ziglang/zig")
endif()
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES SIGNALLLM_ZIG)

# Torch's wheels of 2.12 and later want macOS 14; so does bfloat in Metal.
# Clang 18 changed the names of constrained templates; the wheels' are older.
set(_target -target aarch64-macos.14.0 -fclang-abi-compat=17)
set(CMAKE_C_COMPILER "${SIGNALLLM_ZIG}" cc ${_target})
# macOS's <math.h> asks Clang's <float.h> for a part of it, after which libc++
# takes it for read whole, and the other way round. These are its parts.
set(CMAKE_CXX_COMPILER "${SIGNALLLM_ZIG}" c++ ${_target}
  -include __float_float.h -include __float_infinity_nan.h)
set(CMAKE_INSTALL_NAME_TOOL /bin/true)
# Archives by zig's own tools, which know Mach-O.
set(CMAKE_AR "${SIGNALLLM_ZIG}")
set(CMAKE_RANLIB "${SIGNALLLM_ZIG}")
foreach(_language C CXX)
  set(CMAKE_${_language}_COMPILER_AR "${SIGNALLLM_ZIG}")
  set(CMAKE_${_language}_COMPILER_RANLIB "${SIGNALLLM_ZIG}")
  set(CMAKE_${_language}_ARCHIVE_CREATE "<CMAKE_AR> ar qc <TARGET> <OBJECTS>")
  set(CMAKE_${_language}_ARCHIVE_APPEND "<CMAKE_AR> ar q <TARGET> <OBJECTS>")
  set(CMAKE_${_language}_ARCHIVE_FINISH "<CMAKE_RANLIB> ranlib <TARGET>")
endforeach()

# The programs are the host's, and no header or library of it.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_USE_CMAKE_SYSTEM_PATH OFF)
set(CMAKE_FIND_USE_SYSTEM_ENVIRONMENT_PATH ON)

# CMake knows how run paths are given to a macOS linker only on macOS.
set(CMAKE_PROJECT_INCLUDE "${CMAKE_CURRENT_LIST_DIR}/macos-cross-rpath.cmake")
