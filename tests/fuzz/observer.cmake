# SPDX-License-Identifier: Apache-2.0
# Records and requests of the flow log; included by CMakeLists.txt.
if(POSTERN_FUZZ)
  add_executable(fuzz_observer_flows ${CMAKE_CURRENT_LIST_DIR}/observer_flows.cpp)
  target_link_libraries(fuzz_observer_flows PRIVATE postern_options postern_flows)
  target_link_options(fuzz_observer_flows PRIVATE -fsanitize=fuzzer)
  set_target_properties(fuzz_observer_flows PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endif()
