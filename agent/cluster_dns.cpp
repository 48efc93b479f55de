// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster_dns.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text_files.h"

namespace postern {
namespace {

constexpr std::uint16_t kDnsPort = 53;
constexpr std::size_t kServersMax = 8;
constexpr std::string_view kServiceSpace = "kube-system";
constexpr const char* kServicePath = "/api/v1/namespaces/kube-system/services/kube-dns";
constexpr std::string_view kServiceSource = "Service kube-system/kube-dns";
constexpr int kForbidden = 403;
constexpr int kNotFound = 404;

void add_address(std::vector<Address>& addresses, const std::string& text) {
  auto address = Address::parse(text);
  if (address && addresses.size() < kServersMax && std::ranges::find(addresses, *address) == addresses.end()) {
    addresses.push_back(*address);
  }
}

bool same(const DnsBackends& a, const DnsBackends& b) {
  return a.addresses == b.addresses && a.space == b.space && a.selector == b.selector;
}

}  // namespace

Result<DnsService> read_dns_service(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  const auto spec = json.is_object() ? json.find("spec") : json.end();
  if (!json.is_object() || spec == json.end() || !spec->is_object()) {
    return Error(Errc::kInvalid, "not a Service");
  }
  DnsService service;
  if (const auto ip = spec->find("clusterIP"); ip != spec->end() && ip->is_string()) {
    add_address(service.addresses, ip->get<std::string>());  // "None" is no address
  }
  if (const auto ips = spec->find("clusterIPs"); ips != spec->end() && ips->is_array()) {
    for (const auto& ip : *ips) {
      add_address(service.addresses, ip.is_string() ? ip.get<std::string>() : "");
    }
  }
  if (const auto selector = spec->find("selector"); selector != spec->end() && selector->is_object()) {
    for (const auto& [key, value] : selector->items()) {
      if (value.is_string()) {
        service.selector[key] = value.get<std::string>();
      }
    }
  }
  return service;
}

Result<std::vector<Address>> read_kubelet_dns(std::string_view text, const std::string& file) {
  Diagnostics diagnostics;
  std::vector<Address> addresses;
  const auto documents = YamlField::parse(text, file, diagnostics);
  if (!documents.empty() && documents[0].type() == YamlField::Type::kMap) {
    if (const YamlField servers = documents[0]["clusterDNS"]; servers.present()) {
      for (const YamlField& server : servers.items()) {
        add_address(addresses, server.text());
      }
    }
  }
  if (diagnostics.failed()) {
    return Error(Errc::kInvalid, diagnostics.errors()[0].to_string());
  }
  return addresses;
}

ClusterDns::ClusterDns(EventLoop& loop, ApiClient& client, const Config& config, std::function<void()> on_change)
    : loop_(loop), client_(client), config_(config), on_change_(std::move(on_change)) {}

ClusterDns::~ClusterDns() {
  loop_.cancel(timer_);
  client_.cancel(request_);
}

void ClusterDns::refresh() {
  decide();  // what needs no API server is known at once
  request_ = client_.get(kServicePath, [this](const ApiReply& reply) {
    request_ = 0;
    on_reply(reply);
    decide();
    timer_ = loop_.after_ms(upstreams_.empty() ? kSearchMs : kRefreshMs, [this] { refresh(); });
  });
}

void ClusterDns::on_reply(const ApiReply& reply) {
  forbidden_ = reply.status == kForbidden;
  if (!reply.ok()) {
    service_trouble_ = reply.status == kNotFound ? "there is no Service kube-system/kube-dns" : reply.error->message();
    if (reply.status == kNotFound) {
      service_ = {};
    }
    return;
  }
  auto service = read_dns_service(reply.body);
  if (service) {
    service_ = std::move(*service);
    service_trouble_ = service_.addresses.empty() ? "Service kube-system/kube-dns has no cluster address" : "";
  } else {
    service_trouble_ = "Service kube-system/kube-dns: " + service.error().message();
  }
}

std::vector<Address> ClusterDns::kubelet_dns() {
  kubelet_trouble_.clear();
  auto text = read_text_file(config_.kubernetes.kubelet_config, YamlField::kFileMax);
  auto servers = text ? read_kubelet_dns(*text, config_.kubernetes.kubelet_config)
                      : Result<std::vector<Address>>(std::move(text).error());
  if (!servers) {
    kubelet_trouble_ = servers.error().message();
    return {};
  }
  if (servers->empty()) {
    kubelet_trouble_ = config_.kubernetes.kubelet_config + " has no clusterDNS";
  }
  return std::move(*servers);
}

void ClusterDns::decide() {
  std::vector<Endpoint> upstreams = config_.upstreams;
  std::string source = upstreams.empty() ? "" : "the configuration";
  if (upstreams.empty()) {
    std::vector<Address> servers = kubelet_dns();
    source = "kubelet's configuration";
    if (servers.empty()) {
      servers = service_.addresses;
      source = kServiceSource;
    }
    for (const Address& address : servers) {
      upstreams.push_back({address, kDnsPort});
    }
    source = servers.empty() ? "" : source;
  }
  DnsBackends backends;
  for (const Endpoint& upstream : upstreams) {
    backends.addresses.push_back(upstream.address);
  }
  if (std::ranges::find_first_of(service_.addresses, backends.addresses) != service_.addresses.end()) {
    backends.space = kServiceSpace;
    backends.selector = service_.selector;
  }
  source_ = std::move(source);
  if (upstreams == upstreams_ && same(backends, backends_)) {
    return;
  }
  upstreams_ = std::move(upstreams);
  backends_ = std::move(backends);
  on_change_();
}

std::string ClusterDns::trouble() const {
  if (!upstreams_.empty()) {
    return "";
  }
  return "no DNS server to ask is known, so every lookup is answered SERVFAIL (" +
         (kubelet_trouble_.empty() ? "" : kubelet_trouble_ + "; ") +
         (service_trouble_.empty() ? "the API server has not answered yet" : service_trouble_) +
         "): set dns.upstreams in the configuration";
}

}  // namespace postern
