# SPDX-License-Identifier: Apache-2.0
#
# `postern observe`: a gRPC client of Hubble's API.
postern_library(postern_observe
  SOURCES blocked_flows.cpp flow_text.cpp observe.cpp observe_request.cpp
  LINK postern_base postern_policies postern_hubble CLI11::CLI11 nlohmann_json::nlohmann_json)
