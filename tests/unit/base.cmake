# SPDX-License-Identifier: Apache-2.0
#
# The unit tests of base/ and of the headers of bpf/ that also run natively; included by CMakeLists.txt.
list(APPEND UNIT_TEST_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/base_channel.cpp
  ${CMAKE_CURRENT_LIST_DIR}/base_event_loop.cpp
  ${CMAKE_CURRENT_LIST_DIR}/base_ip.cpp
  ${CMAKE_CURRENT_LIST_DIR}/base_log.cpp
  ${CMAKE_CURRENT_LIST_DIR}/base_result.cpp
  ${CMAKE_CURRENT_LIST_DIR}/base_users.cpp
  ${CMAKE_CURRENT_LIST_DIR}/bpf_native.cpp
  ${CMAKE_SOURCE_DIR}/tests/bpf/frame.cpp)
list(APPEND UNIT_TEST_LIBS postern_base)
