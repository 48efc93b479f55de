// SPDX-License-Identifier: Apache-2.0
#include "cli/observe.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "api/observer.grpc.pb.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "cli/blocked_flows.h"
#include "cli/flow_text.h"
#include "cli/observe_request.h"
#include "cli/text_table.h"

namespace postern {
namespace {

constexpr const char* kStartHint = "Start it (systemctl start postern-observer), or name its address with --server";
constexpr int kAnswerS = 30;  // for what does not follow

/// The path of a unix socket, or nothing.
std::string socket_path(const std::string& server) {
  return server.starts_with("unix://") ? server.substr(7) : server.starts_with("unix:") ? server.substr(5) : "";
}

/// gRPC only says that it could not connect; the socket says why.
Result<> try_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Error(Errc::kInvalid, "the path " + printable(path) + " is longer than a unix socket's may be");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return {};
  }
  if (errno == EACCES || errno == EPERM) {
    return Error(Errc::kDenied, "only root may read the flow log: run this with sudo");
  }
  if (errno == ENOENT || errno == ECONNREFUSED) {
    return Error(Errc::kNotFound, "postern-observer is not running: nobody listens on " + path + ". " + kStartHint);
  }
  return Error::from_errno("connecting to " + path, errno);
}

Error explain(const grpc::Status& status, const std::string& server) {
  const std::string text = terminal_safe(status.error_message());
  switch (status.error_code()) {
    case grpc::StatusCode::INVALID_ARGUMENT:
      return {Errc::kInvalid, "the observer refuses the filter: " + text};
    case grpc::StatusCode::UNAVAILABLE:
      return {Errc::kNotFound,
              "the observer at " + server + " is not reachable, or ended (" + text + "). " + kStartHint};
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return {Errc::kAgain, "the observer at " + server + " did not answer within " + std::to_string(kAnswerS) +
                                " s: its log says why"};
    case grpc::StatusCode::UNIMPLEMENTED:
      return {Errc::kUnsupported, server + " is not a flow log: name postern-observer's socket with --server"};
    default:
      return {Errc::kIo, "the observer at " + server + ": " + text};
  }
}

template <typename OnResponse>
Result<> ask(const ObserveOptions& options, OnResponse on_response) {
  const std::string server = options.server.starts_with('/') ? "unix://" + options.server : options.server;
  if (const std::string path = socket_path(server); !path.empty()) {
    POSTERN_RETURN_IF_ERROR(try_socket(path));
  }
  const auto request = make_request(options, static_cast<std::int64_t>(clock_ns(CLOCK_REALTIME)));
  if (!request) {
    return request.error();
  }
  const auto stub = observer::Observer::NewStub(grpc::CreateChannel(server, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  if (!options.follow) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(kAnswerS));
  }
  const auto reader = stub->GetFlows(&context, *request);
  observer::GetFlowsResponse response;
  while (reader->Read(&response)) {
    on_response(response);
  }
  if (const grpc::Status status = reader->Finish(); !status.ok()) {
    return explain(status, server);
  }
  if (options.follow) {
    return Error(Errc::kClosed, "postern-observer ended the stream: it stopped or was restarted");
  }
  return {};
}

void print_json(const observer::GetFlowsResponse& response) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string line;
  if (google::protobuf::util::MessageToJsonString(response, &line, options).ok()) {
    std::printf("%s\n", line.c_str());
  }
}

Result<> show_flows(const ObserveOptions& options) {
  std::uint64_t shown = 0;
  POSTERN_RETURN_IF_ERROR(ask(options, [&](const observer::GetFlowsResponse& response) {
    ++shown;
    if (options.output == "json") {
      print_json(response);
    } else if (const std::string line = compact_line(response); !line.empty()) {
      std::printf("%s\n", line.c_str());
    }
    if (options.follow) {
      std::fflush(stdout);
    }
  }));
  if (shown == 0 && options.output == "compact") {
    std::fprintf(stderr, "no flows%s\n", options.follow ? "" : " match; -f waits for new ones");
  }
  return {};
}

void print_blocked_json(const std::vector<BlockedRow>& rows) {
  for (const BlockedRow& row : rows) {
    const nlohmann::json line{{"sandbox", row.sandbox},
                              {"tried", row.tried},
                              {"reason", row.reason},
                              {"count", row.count},
                              {"first", google::protobuf::util::TimeUtil::ToString(row.first)},
                              {"last", google::protobuf::util::TimeUtil::ToString(row.last)},
                              {"allow", row.allow}};
    std::printf("%s\n", line.dump().c_str());
  }
}

void print_blocked_table(const std::vector<BlockedRow>& rows) {
  if (rows.empty()) {
    std::printf("nothing was blocked\n");
    return;
  }
  const auto to_second = [](const google::protobuf::Timestamp& time) {
    const std::string text = time_text(time);
    return text.substr(0, text.rfind('.'));
  };
  TextTable table({"SANDBOX", "TRIED", "COUNT", "FIRST", "LAST", "REASON", "TO ALLOW IT"});
  for (const BlockedRow& row : rows) {
    table.add({row.sandbox, row.tried, std::to_string(row.count), to_second(row.first), to_second(row.last), row.reason,
               row.allow});
  }
  table.print();
}

Result<> show_blocked(const ObserveOptions& options) {
  BlockedFlows blocked;
  std::uint64_t lost = 0;
  POSTERN_RETURN_IF_ERROR(ask(options, [&](const observer::GetFlowsResponse& response) {
    lost += response.lost_events().num_events_lost();
    if (response.has_flow()) {
      blocked.add(response.flow());
    }
  }));
  options.output == "json" ? print_blocked_json(blocked.rows()) : print_blocked_table(blocked.rows());
  if (lost > 0 || blocked.left_out() > 0) {
    std::fprintf(stderr, "not complete: %llu events were lost, %llu left out\n", static_cast<unsigned long long>(lost),
                 static_cast<unsigned long long>(blocked.left_out()));
  }
  return {};
}

void add_options(CLI::App& command, ObserveOptions& options, std::vector<CLI::Option*>& last) {
  command.add_flag("--blocked", options.blocked,
                   "What was tried and blocked, each thing once, with the rule that would allow it");
  command.add_flag("-f,--follow", options.follow, "Go on with what happens from now on");
  last.push_back(command.add_option("--last", options.last, "The last N flows that match")->capture_default_str());
  command.add_option("--first", options.first, "The first N flows that are kept")->check(CLI::PositiveNumber);
  command.add_flag("--all", options.all, "Every flow that is kept");
  command.add_option("--since", options.since, "Not older than: 90s, 5m, 2h, 1d, or 2025-11-25T10:00:00Z");
  const auto many = [&command](const char* name, std::vector<std::string>& values, const char* help) {
    command.add_option(name, values, help)
        ->group("Filters (one given twice: either; different ones: both)")
        ->allow_extra_args(false);
  };
  many("--verdict", options.verdicts, "FORWARDED, DROPPED, REDIRECTED or ERROR");
  many("--sandbox,--pod", options.sandboxes, "Sandbox, by the beginning of its name: NAME or NAMESPACE/NAME");
  many("--to-fqdn", options.names, "Name that was asked for or connected to; * stands for any part");
  many("--ip", options.ips, "Address or prefix, of either end");
  many("--port", options.ports, "Port, of either end");
  many("--protocol", options.protocols, "tcp, udp, icmp, sctp or dns");
  command.add_option("-o,--output", options.output, "compact, or json: an object a line, in Hubble's shape")
      ->check(CLI::IsMember({"compact", "json"}))
      ->capture_default_str();
  command.add_option("--server", options.server,
                     "Another flow log: unix:///PATH, or HOST:PORT of Hubble's agent or Relay");
}

}  // namespace

void add_observe_command(CLI::App& app, const std::string& observer, int& exit_status) {
  auto* command = app.add_subcommand("observe", "What sandboxes tried, what was blocked, and by which rule");
  auto options = std::make_shared<ObserveOptions>();
  auto last = std::make_shared<std::vector<CLI::Option*>>();
  add_options(*command, *options, *last);
  command->callback([options, last, &observer, &exit_status] {
    options->server = options->server.empty() ? observer : options->server;
    options->last_given = last->front()->count() > 0;
    const auto shown = options->blocked ? show_blocked(*options) : show_flows(*options);
    if (!shown) {
      std::fflush(stdout);
      std::fprintf(stderr, "postern: %s\n", shown.error().message().c_str());
      exit_status = 1;
    }
  });
  command->footer(
      "Times are UTC. The log keeps the last few thousand flows; what came too fast for it is announced as lost.\n"
      "The stock client works too:\n"
      "  hubble observe --server unix:///run/postern/observer.sock --verdict DROPPED\n"
      "More: docs/observe.md");
}

}  // namespace postern
