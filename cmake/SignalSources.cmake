# signal_sources(TARGET FILE...): source files, named by hand.
#
# With SIGNALLLM_UNITY, those of one folder are compiled together, a few at a
# time: most of a compile is torch's headers, read once a batch. Two files of a
# folder must then not give one name to two things, not even in an unnamed
# namespace. Files that do are given to target_sources instead; operators and
# their kernels (ops/), which name things alike and may have compile flags of
# their own, always stand alone. The other builds (dev, asan, tidy) go file by
# file, which catches a missing include.
set(SIGNALLLM_UNITY_BATCH 6 CACHE STRING "Files compiled together with SIGNALLLM_UNITY")

function(signal_sources target)
  target_sources(${target} PRIVATE ${ARGN})
  if(NOT SIGNALLLM_UNITY OR NOT ARGN)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  foreach(_file IN LISTS ARGN)
    cmake_path(GET _file PARENT_PATH _folder)
    if(_folder MATCHES "^ops(/|$)")
      continue()
    endif()
    string(MAKE_C_IDENTIFIER "folder_${_folder}" _folder)
    list(APPEND _folders ${_folder})
    list(APPEND ${_folder} ${_file})
  endforeach()
  list(REMOVE_DUPLICATES _folders)
  foreach(_folder IN LISTS _folders)
    list(LENGTH ${_folder} _count)
    math(EXPR _batches "(${_count} + ${SIGNALLLM_UNITY_BATCH} - 1) / ${SIGNALLLM_UNITY_BATCH}")
    set(_index 0)
    foreach(_file IN LISTS ${_folder})
      math(EXPR _batch "${_index} * ${_batches} / ${_count}")
      math(EXPR _index "${_index} + 1")
      set_source_files_properties(${_file} TARGET_DIRECTORY ${target}
        PROPERTIES UNITY_GROUP ${_folder}_${_batch})
    endforeach()
  endforeach()
endfunction()
