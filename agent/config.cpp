// SPDX-License-Identifier: Apache-2.0
#include "agent/config.h"

#include <sstream>

#include "policies/yaml_field.h"

namespace postern {
namespace {

constexpr std::uint16_t kDnsPort = 53;
constexpr std::size_t kSearchMax = 16;

void read_dns(const YamlField& dns, Config& config) {
  if (!dns.present()) {
    return;
  }
  dns.only({"upstreams", "search", "grant_s_min"});
  if (const YamlField upstreams = dns["upstreams"]; upstreams.present()) {
    for (const YamlField& item : upstreams.items()) {
      auto endpoint = Endpoint::parse(item.text(), kDnsPort);
      if (endpoint) {
        config.upstreams.push_back(*endpoint);
      } else {
        item.error(endpoint.error().message() + ": give the address of a DNS server, with a port if it is not 53");
      }
    }
  }
  if (const YamlField search = dns["search"]; search.present()) {
    const auto items = search.items();
    if (items.size() > kSearchMax) {
      search.error("has more than " + std::to_string(kSearchMax) + " suffixes");
    }
    for (const YamlField& item : items) {
      auto suffix = DnsName::from_text(item.text());
      if (suffix) {
        config.search.push_back(*suffix);
      } else {
        item.error(suffix.error().message());
      }
    }
  }
  config.grant_s_min = static_cast<std::uint32_t>(dns["grant_s_min"].number_or(config.grant_s_min, 1, 86400));
}

void read_log(const YamlField& log, Config& config) {
  if (!log.present()) {
    return;
  }
  log.only({"level", "format"});
  config.log_level = log["level"].word_or("info", {"info", "debug", "warn", "error", "trace"});
  config.log_format = log["format"].word_or("text", {"text", "json"}) == "json" ? LogFormat::kJson : LogFormat::kText;
}

}  // namespace

Config read_config(std::string_view text, const std::string& file, Diagnostics& diagnostics) {
  Config config;
  const auto documents = YamlField::parse(text, file, diagnostics);
  if (documents.size() > 1) {
    documents[1].error("is a second document: the configuration is one");
  }
  if (documents.empty() || !documents[0].present()) {
    return config;  // an empty file: all defaults
  }
  const YamlField& root = documents[0];
  root.only({"policies", "templates", "run_dir", "pin_dir", "dns", "log", "scope", "kinds", "kubernetes"});
  read_absolute_path(root["policies"], config.policies);
  read_absolute_path(root["templates"], config.templates);
  read_absolute_path(root["run_dir"], config.run_dir);
  read_absolute_path(root["pin_dir"], config.pin_dir);
  read_dns(root["dns"], config);
  read_log(root["log"], config);
  config.scope = read_scope(root["scope"]);
  config.kubernetes = read_kubernetes(root["kubernetes"]);
  config.kubernetes.kinds = read_kinds(root["kinds"]);
  for (const char* key : {"scope", "kinds"}) {
    if (root[key].present() && !config.kubernetes.on) {
      root[key].error("is about a cluster, and there is no kubernetes: add it, or remove this");
    }
  }
  return config;
}

std::vector<Endpoint> nameservers_of(std::string_view resolv_conf) {
  std::vector<Endpoint> found;
  std::istringstream lines{std::string(resolv_conf)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key;
    std::string value;
    words >> key >> value;
    const auto address = Address::parse(value.substr(0, value.find('%')));
    if (key == "nameserver" && address) {
      found.push_back({*address, kDnsPort});
    }
  }
  return found;
}

std::vector<DnsName> search_of(std::string_view resolv_conf) {
  std::vector<DnsName> found;
  std::istringstream lines{std::string(resolv_conf)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word != "search" && word != "domain") {
      continue;
    }
    found.clear();
    while (words >> word && found.size() < kSearchMax) {
      if (auto suffix = DnsName::from_text(word); suffix && !suffix->is_root()) {
        found.push_back(*suffix);
      }
    }
  }
  return found;
}

}  // namespace postern
