# After project(), whose platform files would set these back.
foreach(_language C CXX)
  set(CMAKE_SHARED_LIBRARY_RUNTIME_${_language}_FLAG "-Wl,-rpath,")
  set(CMAKE_EXECUTABLE_RUNTIME_${_language}_FLAG "-Wl,-rpath,")
endforeach()
