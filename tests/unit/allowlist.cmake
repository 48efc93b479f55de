# SPDX-License-Identifier: Apache-2.0
#
# The unit tests of cli/allowlist*.cpp and cli/discover*.cpp; included by CMakeLists.txt.
list(APPEND UNIT_TEST_SOURCES ${CMAKE_CURRENT_LIST_DIR}/allowlist_discover.cpp)
list(APPEND UNIT_TEST_LIBS postern_allowlist)
