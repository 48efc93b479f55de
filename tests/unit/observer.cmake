# SPDX-License-Identifier: Apache-2.0
#
# The unit tests of agent/observer/ and of `postern observe`; included by CMakeLists.txt.
list(APPEND UNIT_TEST_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/observer_api_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/observer_cli_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/observer_filter_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/observer_flow_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/observer_links_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/observer_store_test.cpp)
list(APPEND UNIT_TEST_LIBS postern_observer_core postern_observe)
