# SPDX-License-Identifier: Apache-2.0
# postern-setup and rtnetlink, in namespaces of their own; included by CMakeLists.txt.
postern_netns_test(setup_test 120)
postern_netns_test(setup_pod_test 120)

add_executable(netlink_test ${CMAKE_CURRENT_LIST_DIR}/netlink_test.cpp ${CMAKE_SOURCE_DIR}/agent/setup/netns.cpp)
target_link_libraries(netlink_test PRIVATE postern_options postern_netlink Catch2::Catch2 PkgConfig::LIBCAP)
set_target_properties(netlink_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
add_test(NAME netns.netlink_test COMMAND netlink_test)
set_tests_properties(netns.netlink_test PROPERTIES LABELS netns TIMEOUT 60 SKIP_RETURN_CODE 77)
