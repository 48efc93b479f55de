# SPDX-License-Identifier: Apache-2.0
#
# postern_options: what every target of this project is compiled with. Warnings are errors.

add_library(postern_options INTERFACE)
target_include_directories(postern_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(postern_options INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
  -fno-omit-frame-pointer
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
  # A false alarm about joining strings, GCC bug 105651, mended in 13.
  $<$<AND:$<COMPILE_LANG_AND_ID:CXX,GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>
  $<$<CONFIG:Release>:-fstack-protector-strong>)
target_compile_definitions(postern_options INTERFACE
  $<$<NOT:$<CONFIG:Release>>:_GLIBCXX_ASSERTIONS>
  $<$<CONFIG:Release>:_FORTIFY_SOURCE=2>
  POSTERN_VERSION="${PROJECT_VERSION}")

if(POSTERN_SANITIZE)
  target_compile_options(postern_options INTERFACE
    -fsanitize=${POSTERN_SANITIZE} -fno-sanitize-recover=all -O1 -g1
    # GCC's manual: sanitizers change what is inlined, and this warning then sees ghosts (in std::regex, for one).
    # The release build keeps it.
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-maybe-uninitialized>)
  target_link_options(postern_options INTERFACE -fsanitize=${POSTERN_SANITIZE})
endif()
if(POSTERN_FUZZ)
  target_compile_options(postern_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# postern_library(NAME SOURCES... LINK public libraries...)
function(postern_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC postern_options ${ARG_LINK})
endfunction()

# postern_program(NAME SOURCES... LINK libraries...): a binary in the build folder's bin/.
function(postern_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE postern_options ${ARG_LINK})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  install(TARGETS ${name} RUNTIME DESTINATION bin)
endfunction()
