# signal_embed_metal(NAME FILE...): the Metal text FILE... joined, as
# <binary dir>/NAME.metal (for Apple's compiler and for the tests) and as the
# source <binary dir>/NAME.cpp, which defines
#   namespace signalllm::mps { extern const std::string_view NAME; }
# torch hands the text to Metal as ASCII, so that another byte would be an error
# on the user's machine: here it is one of the build.
if(NOT CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  set(_embed_metal_script "${CMAKE_CURRENT_LIST_FILE}")
  function(signal_embed_metal name)
    set(_base "${CMAKE_CURRENT_BINARY_DIR}/${name}")
    add_custom_command(OUTPUT "${_base}.metal" "${_base}.cpp"
      COMMAND "${CMAKE_COMMAND}" "-DNAME=${name}" "-DBASE=${_base}"
        -P "${_embed_metal_script}" -- ${ARGN}
      DEPENDS ${ARGN} "${_embed_metal_script}"
      COMMENT "Embedding ${name}.metal" VERBATIM)
  endfunction()
  return()
endif()

set(_files)
set(_seen FALSE)
math(EXPR _last "${CMAKE_ARGC} - 1")
foreach(_i RANGE ${_last})
  if(_seen)
    list(APPEND _files "${CMAKE_ARGV${_i}}")
  elseif(CMAKE_ARGV${_i} STREQUAL "--")
    set(_seen TRUE)
  endif()
endforeach()

set(_all "")
foreach(_file IN LISTS _files)
  file(READ "${_file}" _text)
  string(REGEX MATCH "[^\t\n -~]" _wrong "${_text}")
  if(NOT _wrong STREQUAL "")
    string(FIND "${_text}" "${_wrong}" _at)
    string(SUBSTRING "${_text}" 0 ${_at} _before)
    string(REGEX REPLACE "[^\n]" "" _lines "${_before}")
    string(LENGTH "${_lines}." _line)
    message(FATAL_ERROR "${_file}:${_line}: a byte that is not ASCII; Metal text must be ASCII")
  endif()
  string(FIND "${_text}" ")metal\"" _at)
  if(NOT _at EQUAL -1)
    message(FATAL_ERROR "${_file}: contains )metal\", which ends the string it is embedded in")
  endif()
  string(APPEND _all "${_text}")
endforeach()
file(WRITE "${BASE}.metal" "${_all}")
file(WRITE "${BASE}.cpp" "// Made by cmake/EmbedMetal.cmake.
#include <string_view>
namespace signalllm::mps {
extern const std::string_view ${NAME};
const std::string_view ${NAME} = R\"metal(${_all})metal\";
} // namespace signalllm::mps
")
