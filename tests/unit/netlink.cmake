# SPDX-License-Identifier: Apache-2.0
#
# The unit tests of agent/netlink/; included by CMakeLists.txt.
list(APPEND UNIT_TEST_SOURCES ${CMAKE_CURRENT_LIST_DIR}/netlink_messages_test.cpp)
list(APPEND UNIT_TEST_LIBS postern_netlink)
