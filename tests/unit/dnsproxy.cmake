# SPDX-License-Identifier: Apache-2.0
#
# The unit tests of dnsproxy/; included by CMakeLists.txt.
