// SPDX-License-Identifier: Apache-2.0
//
// postern.yaml: what posternd is told about its node. Read once at start; policies are the part
// that changes while it runs. Unknown keys are errors, so that a typing mistake is not a default.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cluster_config.h"
#include "base/ip.h"
#include "base/log.h"
#include "policies/diagnostics.h"
#include "policies/dns_name.h"
#include "policies/image.h"

namespace postern {

inline constexpr std::string_view kConfigPath = "/etc/postern/postern.yaml";
inline constexpr std::string_view kTemplatesPath = "/etc/postern/allowlists";  // without it, those that were installed

struct Config {
  std::string policies = "/etc/postern/policies";     ///< Folder of EgressPolicy files.
  std::string templates = std::string(kTemplatesPath);  ///< Folder of AllowlistTemplate files.
  std::string run_dir = "/run/postern";               ///< Sockets and the list of sandboxes.
  std::string pin_dir = "/sys/fs/bpf/postern";        ///< Pinned maps and programs.
  std::vector<Endpoint> upstreams;                    ///< Empty: the nameservers of resolv.conf; in a cluster its DNS.
  std::vector<DnsName> search;                        ///< Of sandboxes that are attached without their own.
  std::uint32_t grant_s_min = 30;                     ///< A grant lasts at least this, before grace.
  std::string log_level = "info";
  LogFormat log_format = LogFormat::kText;
  ScopeConfig scope;            ///< Of the pods of a cluster.
  KubernetesConfig kubernetes;  ///< Off: no cluster is asked, sandboxes are attached by hand.

  std::string control_socket() const { return run_dir + "/control.sock"; }
  std::string dns_socket() const { return run_dir + "/dns.sock"; }
  std::string sandboxes_file() const { return run_dir + "/sandboxes.json"; }
  std::string policy_objects_file() const { return run_dir + "/policy-objects.json"; }
  /// What policies are compiled against.
  Inventory inventory() const {
    Inventory inventory;
    inventory.pods = kubernetes.pod_cidrs;
    return inventory;
  }
};

/// Text in, config out. What is wrong goes to *diagnostics; use the result only if it did not fail.
Config read_config(std::string_view text, const std::string& file, Diagnostics& diagnostics);

/// The nameservers of a resolv.conf, port 53; for a config that names no upstreams.
std::vector<Endpoint> nameservers_of(std::string_view resolv_conf);
/// Its search list: of several lines the last (resolv.conf(5)). Suffixes that are no names are left out.
std::vector<DnsName> search_of(std::string_view resolv_conf);

}  // namespace postern
