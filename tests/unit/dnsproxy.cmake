# SPDX-License-Identifier: Apache-2.0
#
# The unit tests of dnsproxy/; included by CMakeLists.txt.
list(APPEND UNIT_TEST_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/dns_reply.cpp
  ${CMAKE_CURRENT_LIST_DIR}/dnsproxy_answer.cpp
  ${CMAKE_CURRENT_LIST_DIR}/dnsproxy_answer_cache.cpp
  ${CMAKE_CURRENT_LIST_DIR}/dnsproxy_arpa.cpp
  ${CMAKE_CURRENT_LIST_DIR}/dnsproxy_confine.cpp
  ${CMAKE_CURRENT_LIST_DIR}/dnsproxy_feed_reader.cpp
  ${CMAKE_CURRENT_LIST_DIR}/dnsproxy_grant_book.cpp
  ${CMAKE_CURRENT_LIST_DIR}/dnsproxy_keyed_hash.cpp
  ${CMAKE_CURRENT_LIST_DIR}/dnsproxy_ldns.cpp
  ${CMAKE_CURRENT_LIST_DIR}/dnsproxy_listeners.cpp
  ${CMAKE_CURRENT_LIST_DIR}/dnsproxy_query.cpp
  ${CMAKE_CURRENT_LIST_DIR}/dnsproxy_reasons.cpp
  ${CMAKE_CURRENT_LIST_DIR}/dnsproxy_reply.cpp
  ${CMAKE_CURRENT_LIST_DIR}/dnsproxy_resolver_grants.cpp
  ${CMAKE_CURRENT_LIST_DIR}/dnsproxy_resolver_names.cpp
  ${CMAKE_CURRENT_LIST_DIR}/dnsproxy_resolver_sharing.cpp
  ${CMAKE_CURRENT_LIST_DIR}/dnsproxy_upstream_pool.cpp
  ${CMAKE_CURRENT_LIST_DIR}/dnsproxy_wire.cpp)
list(APPEND UNIT_TEST_LIBS postern_dnsproxy PkgConfig::LDNS)
