# SPDX-License-Identifier: Apache-2.0
# postern-setup and rtnetlink, in namespaces of their own; included by CMakeLists.txt.
postern_netns_test(setup_test 120)
