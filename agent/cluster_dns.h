// SPDX-License-Identifier: Apache-2.0
//
// ClusterDns: which DNS server the workers ask on a cluster, and which pods answer behind it.
//
// In this order: dns.upstreams of the configuration; clusterDNS of kubelet's own configuration, if the
// file is there; the cluster address of the Service kube-system/kube-dns. Looked at again every
// kRefreshMs, and every kSearchMs while nothing is known: the workers answer SERVFAIL until then.
// What was known stays when the API server is away. Thread: the loop's.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config.h"
#include "agent/kube/api_client.h"
#include "agent/sandbox/pod_scope.h"

namespace postern {

/// A Service, as far as DNS goes. The addresses are empty for a headless one.
struct DnsService {
  std::vector<Address> addresses;
  Labels selector;
};

/// A Service of the API server. @return invalid.
Result<DnsService> read_dns_service(std::string_view json);

/// clusterDNS of a KubeletConfiguration; empty if it names none. @return invalid.
Result<std::vector<Address>> read_kubelet_dns(std::string_view text, const std::string& file);

class ClusterDns {
 public:
  static constexpr std::uint64_t kRefreshMs = 30'000;
  static constexpr std::uint64_t kSearchMs = 2'000;

  /// @param on_change  upstreams() or backends() are others now.
  ClusterDns(EventLoop& loop, ApiClient& client, const Config& config, std::function<void()> on_change);
  ClusterDns(const ClusterDns&) = delete;
  ClusterDns& operator=(const ClusterDns&) = delete;
  ~ClusterDns();

  void start() { refresh(); }

  const std::vector<Endpoint>& upstreams() const { return upstreams_; }
  const DnsBackends& backends() const { return backends_; }
  /// "the configuration", "kubelet's configuration", "Service kube-system/kube-dns"; empty: none is known.
  const std::string& source() const { return source_; }
  /// Why none is known and what to do; empty: one is.
  std::string trouble() const;
  /// The API server forbids reading the Service.
  bool forbidden() const { return forbidden_; }

 private:
  void refresh();
  void on_reply(const ApiReply& reply);
  std::vector<Address> kubelet_dns();
  void decide();

  EventLoop& loop_;
  ApiClient& client_;
  const Config& config_;
  std::function<void()> on_change_;
  ApiClient::RequestId request_ = 0;
  EventLoop::TimerId timer_ = 0;
  DnsService service_;
  bool forbidden_ = false;
  std::string service_trouble_;
  std::string kubelet_trouble_;
  std::string source_;
  std::vector<Endpoint> upstreams_;
  DnsBackends backends_;
};

}  // namespace postern
