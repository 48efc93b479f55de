# SPDX-License-Identifier: Apache-2.0
#
# The unit tests of policies/, allowlists/ and examples/; included by CMakeLists.txt.
list(APPEND UNIT_TEST_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/cli_policy_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/cli_sarif.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_assertions.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_cache.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_check.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_compiler.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_compose.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_denial.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_dialects.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_explain.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_families.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_foreign.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_inventory.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_lint.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_matcher.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_names.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_never_list.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_overlap.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_patterns.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_ports.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_public_suffix.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_reader.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_render.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_round_trip.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_set.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_shipped.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_template_links.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_templates.cpp
  ${CMAKE_CURRENT_LIST_DIR}/policies_yaml.cpp)
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/policies_shipped.cpp ${CMAKE_CURRENT_LIST_DIR}/cli_policy_test.cpp
  PROPERTIES COMPILE_DEFINITIONS "POSTERN_SOURCE_DIR=\"${CMAKE_SOURCE_DIR}\"")
list(APPEND UNIT_TEST_LIBS postern_policies postern_policy_check PkgConfig::LDNS)
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/policies_foreign.cpp
  PROPERTIES COMPILE_DEFINITIONS "POSTERN_OBJECTS=\"${CMAKE_CURRENT_LIST_DIR}/objects\"")
