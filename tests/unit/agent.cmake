# SPDX-License-Identifier: Apache-2.0
#
# The unit tests of agent/; included by CMakeLists.txt.
list(APPEND UNIT_TEST_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/agent_cluster_config_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/agent_cluster_files_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/agent_config_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/agent_dns_link_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/agent_folders_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/agent_kernel_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/agent_operations_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/agent_pod_addresses_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/agent_pod_pairing_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/agent_pod_scope_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/agent_policy_objects_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/agent_sandbox_test.cpp)
list(APPEND UNIT_TEST_LIBS postern_agent)
