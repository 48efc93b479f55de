# SPDX-License-Identifier: Apache-2.0
#
# `postern allowlist`; included by CMakeLists.txt.
postern_library(postern_allowlist
  SOURCES allowlist.cpp allowlist_compose.cpp allowlist_diff.cpp allowlist_lint.cpp allowlist_list.cpp allowlist_render.cpp name_lookup.cpp
  LINK postern_policy_check PkgConfig::CARES)
