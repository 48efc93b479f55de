# SPDX-License-Identifier: Apache-2.0
# Records and requests of the flow log; included by CMakeLists.txt.
postern_fuzz_target(observer_flows SOURCES ${CMAKE_CURRENT_LIST_DIR}/observer_flows.cpp LINK postern_flows)
