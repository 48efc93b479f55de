# SPDX-License-Identifier: Apache-2.0
# The flow log, asked by an independent client of Hubble's API; included by CMakeLists.txt.
postern_netns_test(observer_test 90)
