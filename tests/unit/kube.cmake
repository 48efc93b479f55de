# SPDX-License-Identifier: Apache-2.0
#
# The unit tests of agent/kube/; included by CMakeLists.txt.
list(APPEND UNIT_TEST_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/kube_cluster_watch_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/kube_config_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/kube_list_watch_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/kube_reader_test.cpp)
list(APPEND UNIT_TEST_LIBS postern_kube)
