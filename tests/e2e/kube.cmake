# SPDX-License-Identifier: Apache-2.0
# ClusterWatch and the CRDs against a real API server; included by tests/CMakeLists.txt.
add_executable(kube_watch ${CMAKE_CURRENT_LIST_DIR}/kube_watch.cpp)
target_link_libraries(kube_watch PRIVATE postern_options postern_kube CLI11::CLI11)
set_target_properties(kube_watch PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
add_test(NAME e2e.kube_watch COMMAND python3 ${CMAKE_CURRENT_LIST_DIR}/kube_watch_test.py)
set_tests_properties(e2e.kube_watch PROPERTIES
  LABELS e2e
  TIMEOUT 300
  SKIP_RETURN_CODE 77
  RUN_SERIAL TRUE
  ENVIRONMENT "POSTERN_TESTS=${CMAKE_BINARY_DIR}/tests")

add_test(NAME e2e.crds COMMAND python3 ${CMAKE_CURRENT_LIST_DIR}/crds_test.py)
set_tests_properties(e2e.crds PROPERTIES LABELS e2e TIMEOUT 300 SKIP_RETURN_CODE 77 RUN_SERIAL TRUE)
