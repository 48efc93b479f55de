# SPDX-License-Identifier: Apache-2.0
#
# `postern allowlist`; included by CMakeLists.txt.
postern_library(postern_allowlist
  SOURCES allowlist.cpp allowlist_compose.cpp allowlist_diff.cpp allowlist_discover.cpp allowlist_lint.cpp allowlist_list.cpp allowlist_render.cpp config_text.cpp
          discover_apt.cpp discover_containers.cpp discover_languages.cpp discover_others.cpp machine_view.cpp name_lookup.cpp yaml_scalars.cpp
  LINK postern_policy_check PkgConfig::CARES)
