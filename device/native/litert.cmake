# TensorFlow Lite's C library, out of the wheel of ai-edge-litert that litert.txt pins with its
# checksum. The wheel's Python version does not matter. Newer wheels lack the C API.
file(STRINGS litert.txt litert_pin REGEX "^ai-edge-litert==")
string(REGEX REPLACE "^ai-edge-litert==([0-9.]+).*" "\\1" litert_version "${litert_pin}")
set(litert_library ${CMAKE_BINARY_DIR}/libLiteRt.so)

if(NOT EXISTS ${litert_library})
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  set(wheels ${CMAKE_BINARY_DIR}/wheels)
  message(STATUS "fetching ai-edge-litert ${litert_version}")
  execute_process(
    COMMAND ${Python3_EXECUTABLE} -m pip download --quiet --no-deps --require-hashes
            --only-binary=:all: --platform manylinux_2_27_aarch64 --implementation cp
            --python-version 39 --dest ${wheels} -r ${CMAKE_CURRENT_SOURCE_DIR}/litert.txt
    RESULT_VARIABLE failed)
  file(GLOB wheel ${wheels}/ai_edge_litert-${litert_version}-*.whl)
  if(failed OR NOT wheel)
    message(FATAL_ERROR "cannot fetch ai-edge-litert ${litert_version}; pip must reach an index")
  endif()
  file(ARCHIVE_EXTRACT INPUT ${wheel} DESTINATION ${wheels} PATTERNS */libLiteRt.so)
  file(RENAME ${wheels}/ai_edge_litert/libLiteRt.so ${litert_library})
  file(REMOVE_RECURSE ${wheels})
endif()

add_library(LiteRt SHARED IMPORTED)
set_target_properties(LiteRt PROPERTIES IMPORTED_LOCATION ${litert_library} IMPORTED_SONAME
                                        libLiteRt.so)
