# The LibTorch of a pip wheel, CPU side only: torch's own package configuration
# stops where the wheel was built for CUDA and no CUDA toolkit is installed.
#
# Hints: SIGNALLLM_TORCH_ROOT=<site-packages>/torch, else Python3_EXECUTABLE (or
# the first python3) is asked where its torch is, without importing it.
# Targets: SignalTorch::torch (libtorch_cpu, libc10); SignalTorch::cuda
# (libtorch_cuda, libc10_cuda, the toolkit's runtime) where the wheel has them
# and find_package(CUDAToolkit) was called before.
if(NOT SIGNALLLM_TORCH_ROOT)
  find_package(Python3 COMPONENTS Interpreter QUIET)
  if(Python3_EXECUTABLE)
    execute_process(
      COMMAND ${Python3_EXECUTABLE} -c
        "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
      OUTPUT_VARIABLE _root OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(_root)
      set(SIGNALLLM_TORCH_ROOT "${_root}" CACHE PATH "Folder of the installed torch package" FORCE)
    endif()
  endif()
endif()

set(_header "${SIGNALLLM_TORCH_ROOT}/include/torch/headeronly/version.h")
if(EXISTS "${_header}")
  file(STRINGS "${_header}" _lines REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
  string(REGEX REPLACE "[^0-9]+([0-9]+)[^0-9]+([0-9]+)[^0-9]+([0-9]+).*" "\\1.\\2.\\3"
    SignalTorch_VERSION "${_lines}")
elseif(EXISTS "${SIGNALLLM_TORCH_ROOT}/version.py")
  # Before 2.9 the header lay elsewhere; the number still belongs in the message.
  file(STRINGS "${SIGNALLLM_TORCH_ROOT}/version.py" _lines REGEX "^__version__")
  string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" SignalTorch_VERSION "${_lines}")
endif()

if(SignalTorch_VERSION)
  set(_reason "torch ${SignalTorch_VERSION} is not what is asked for")
else()
  set(_reason "No torch found")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(SignalTorch
  REQUIRED_VARS SIGNALLLM_TORCH_ROOT SignalTorch_VERSION
  VERSION_VAR SignalTorch_VERSION
  REASON_FAILURE_MESSAGE
    "${_reason}: pip install torch==2.11.0, or give -DSIGNALLLM_TORCH_ROOT=<site-packages>/torch")

if(SignalTorch_FOUND AND NOT TARGET SignalTorch::torch)
  set(_lib "${SIGNALLLM_TORCH_ROOT}/lib")
  set(_names c10 torch_cpu)
  if(CUDAToolkit_FOUND AND EXISTS "${_lib}/libtorch_cuda.so")
    list(APPEND _names c10_cuda torch_cuda)
  endif()
  foreach(_name IN LISTS _names)
    set(_file "${_lib}/${CMAKE_SHARED_LIBRARY_PREFIX}${_name}${CMAKE_SHARED_LIBRARY_SUFFIX}")
    add_library(SignalTorch::${_name} SHARED IMPORTED)
    set_target_properties(SignalTorch::${_name} PROPERTIES IMPORTED_LOCATION "${_file}")
    if(APPLE)
      set_target_properties(SignalTorch::${_name} PROPERTIES
        IMPORTED_SONAME "@rpath/${CMAKE_SHARED_LIBRARY_PREFIX}${_name}${CMAKE_SHARED_LIBRARY_SUFFIX}")
    endif()
  endforeach()

  add_library(SignalTorch::torch INTERFACE IMPORTED)
  target_include_directories(SignalTorch::torch SYSTEM INTERFACE
    "${SIGNALLLM_TORCH_ROOT}/include"
    "${SIGNALLLM_TORCH_ROOT}/include/torch/csrc/api/include")
  target_compile_definitions(SignalTorch::torch INTERFACE USE_DISTRIBUTED USE_C10D_GLOO)
  target_link_libraries(SignalTorch::torch INTERFACE SignalTorch::torch_cpu SignalTorch::c10)

  if(TARGET SignalTorch::torch_cuda)
    add_library(SignalTorch::cuda INTERFACE IMPORTED)
    target_compile_definitions(SignalTorch::cuda INTERFACE USE_CUDA USE_C10D_NCCL)
    target_link_libraries(SignalTorch::cuda INTERFACE
      SignalTorch::torch_cuda SignalTorch::c10_cuda SignalTorch::torch CUDA::cudart)
  endif()
endif()
