// SPDX-License-Identifier: Apache-2.0
#include "agent/sandbox/cni_result.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace postern {
namespace {

using nlohmann::json;

/// Whatever the type, no exception: another version of the file may have anything there.
std::string text_at(const json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

const json* list_at(const json& object, const char* key) {
  if (!object.is_object()) {
    return nullptr;
  }
  const auto found = object.find(key);
  return found != object.end() && found->is_array() ? &*found : nullptr;
}

PodRef read_pod(const json& cached) {
  PodRef pod;
  const json* args = list_at(cached, "cniArgs");
  for (const json& pair : args != nullptr ? *args : json::array()) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string()) {
      continue;
    }
    const auto& key = pair[0].get_ref<const std::string&>();
    std::string& out = key == "K8S_POD_NAMESPACE" ? pod.space : key == "K8S_POD_NAME" ? pod.name : pod.uid;
    if (key == "K8S_POD_NAMESPACE" || key == "K8S_POD_NAME" || key == "K8S_POD_UID") {
      out = pair[1].get<std::string>();
    }
  }
  return pod;
}

void read_interfaces(const json& result, CniResult& out) {
  const json* ips = list_at(result, "ips");
  for (const json& ip : ips != nullptr ? *ips : json::array()) {
    const std::string text = text_at(ip, "address");
    if (auto address = Address::parse(text.substr(0, text.find('/')));
        address && out.addresses.size() < kCniAddressesMax) {
      out.addresses.push_back(*address);
    }
  }
  const json* interfaces = list_at(result, "interfaces");
  for (const json& each : interfaces != nullptr ? *interfaces : json::array()) {
    const bool inside = !text_at(each, "sandbox").empty();
    if (auto mac = parse_mac(text_at(each, "mac")); mac && inside && out.macs.size() < kCniAddressesMax) {
      out.macs.push_back(*mac);
    }
    if (auto name = text_at(each, "name"); !inside && !name.empty() && out.host_names.size() < kCniAddressesMax) {
      out.host_names.push_back(std::move(name));
    }
  }
}

}  // namespace

Result<CniResult> read_cni_result(std::string_view text) {
  if (text.size() > kCniResultMax) {
    return Error(Errc::kInvalid, "larger than any result of a CNI plugin");
  }
  const json cached = json::parse(text, nullptr, false);
  if (cached.is_discarded() || text_at(cached, "kind") != "cniCacheV1") {
    return Error(Errc::kInvalid, "not a cached result of libcni");
  }
  CniResult out;
  out.pod = read_pod(cached);
  if (out.pod.space.empty() || out.pod.name.empty()) {
    return Error(Errc::kInvalid, "not of a pod");
  }
  if (const auto result = cached.find("result"); result != cached.end()) {
    read_interfaces(*result, out);
  }
  return out;
}

bool describes(const CniResult& result, const std::vector<Address>& addresses, const Mac& peer_mac) {
  const bool address = std::ranges::find_first_of(result.addresses, addresses) != result.addresses.end();
  return address && (result.macs.empty() || std::ranges::find(result.macs, peer_mac) != result.macs.end());
}

}  // namespace postern
