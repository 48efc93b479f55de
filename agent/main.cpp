// SPDX-License-Identifier: Apache-2.0
//
// posternd: loads the gate, finds sandboxes, compiles policies.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "agent/daemon.h"
#include "agent/policy_files.h"
#include "base/text_files.h"
#include "policies/yaml_field.h"

namespace postern {
namespace {

struct Options {
  std::string config{kConfigPath};
  std::string observer_user = "nobody";
  bool check_config = false;
};

int fail(const Error& error) {
  std::fprintf(stderr, "posternd: %s\n", error.message().c_str());
  return 1;
}

/// A missing file at the default place means defaults; one that was named must be there.
Result<Config> load_config(const Options& options) {
  auto text = read_text_file(options.config, YamlField::kFileMax);
  if (!text && (text.error().code() != Errc::kNotFound || options.config != kConfigPath)) {
    return std::move(text).error();
  }
  Diagnostics diagnostics;
  Config config = text ? read_config(*text, options.config, diagnostics) : Config();
  if (diagnostics.failed()) {
    return diagnostics.to_error();
  }
  if (config.templates == kTemplatesPath && ::access(config.templates.c_str(), F_OK) != 0) {
    if (const std::string shipped = shared_folder("postern/allowlists"); !shipped.empty()) {
      config.templates = shipped;
    }
  }
  return config;
}

Result<> use_nameservers(Config& config) {
  if (!config.upstreams.empty() || config.kubernetes.on) {
    return {};  // on a cluster they are found out, and may change
  }
  constexpr const char* kResolvConf = "/etc/resolv.conf";
  if (auto text = read_text_file(kResolvConf, YamlField::kFileMax)) {
    config.upstreams = nameservers_of(*text);
  }
  if (config.upstreams.empty()) {
    return Error(Errc::kInvalid, std::string("no DNS server to ask: set dns.upstreams in the configuration (") +
                                     kResolvConf + " names none)");
  }
  return {};
}

int check(const Config& config) {
  const auto set = load_policies(config.policies, config.templates, config.inventory());
  if (!set) {
    return fail(set.error());
  }
  for (const std::string& warning : set->warnings) {
    std::fprintf(stderr, "posternd: warning: %s\n", warning.c_str());
  }
  std::printf("The configuration is good: %zu policies in %s.\n", set->policies.size(), config.policies.c_str());
  return 0;
}

int run(const Options& options) {
  auto config = load_config(options);
  if (!config) {
    return fail(config.error());
  }
  if (auto upstreams = use_nameservers(*config); !upstreams) {
    return fail(upstreams.error());
  }
  if (options.check_config) {
    return check(*config);
  }
  if (auto logging = start_log("posternd", config->log_level, config->log_format); !logging) {
    return fail(logging.error());
  }
  if (auto ran = run_daemon(std::move(*config), options.observer_user); !ran) {
    return fail(ran.error());
  }
  return 0;
}

}  // namespace
}  // namespace postern

int main(int argc, char** argv) {
  postern::Options options;
  CLI::App app{
      "posternd puts the gate on sandboxes' interfaces and keeps it in step with the policies.\n"
      "It needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, and gives up everything else."};
  app.add_option("--config", options.config, "Configuration file")->capture_default_str();
  app.add_option("--observer-user", options.observer_user, "User that postern-observer runs as, by name or number")
      ->capture_default_str();
  app.add_flag("--check-config", options.check_config, "Check the configuration and every policy file, and exit");
  app.set_version_flag("--version", std::string("posternd ") + POSTERN_VERSION);
  CLI11_PARSE(app, argc, argv);
  return postern::run(options);
}
