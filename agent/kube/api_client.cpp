// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/api_client.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "agent/kube/api_request.h"
#include "agent/kube/curl_loop.h"
#include "agent/kube/event_note.h"
#include "agent/kube/problem.h"
#include "agent/kube/token_source.h"
#include "base/log.h"
#include "base/text_files.h"

namespace postern {
namespace {

constexpr std::size_t kPemMax = 4u << 20;

/// So that a wrong path is told at start, with its name, and not by each connection.
Result<> check_pem(const Pem& pem, std::string_view what) {
  if (!pem.present()) {
    return {};
  }
  std::string text = pem.data;
  if (!pem.path.empty()) {
    auto read = read_text_file(pem.path, kPemMax);
    if (!read) {
      return std::move(read).error().within(what);
    }
    text = std::move(read).value();
  }
  const std::string name = pem.path.empty() ? "the data in the kubeconfig" : printable(pem.path);
  if (text.find("-----BEGIN ") == std::string::npos) {
    return Error(Errc::kInvalid, std::string(what) + ": " + name + " holds no PEM (-----BEGIN ...)");
  }
  if (text.find("ENCRYPTED") != std::string::npos) {
    return Error(Errc::kUnsupported,
                 std::string(what) + ": " + name + " is encrypted: nobody is there to type its password");
  }
  return {};
}

class CurlApiClient final : public ApiClient {
 public:
  CurlApiClient(EventLoop& loop, KubeConfig config, std::size_t body_max)
      : loop_(loop), config_(std::move(config)), tokens_(config_.token, config_.token_file), body_max_(body_max) {}
  CurlApiClient(const CurlApiClient&) = delete;
  CurlApiClient& operator=(const CurlApiClient&) = delete;
  ~CurlApiClient() override {
    while (!live_.empty()) {
      cancel(live_.begin()->first);
    }
  }

  Result<> start() {
    auto curl = CurlLoop::make(loop_, [this] { deliver(); });
    if (!curl) {
      return std::move(curl).error();
    }
    curl_ = std::move(curl).value();
    return {};
  }

  RequestId get(std::string path, Done done) override {
    return begin({std::move(path), {}, {}, kAnswerMs, false, body_max_}, {{}, {}, std::move(done)});
  }
  RequestId stream(std::string path, std::uint32_t seconds_max, Stream handlers) override {
    return begin({std::move(path), {}, {}, seconds_max * std::uint64_t{1'000}, true, kBodyMax}, std::move(handlers));
  }
  RequestId post_event(const EventNote& note, const std::string& node, Done done) override {
    const auto now_s = static_cast<std::int64_t>(clock_ns(CLOCK_REALTIME) / kNsPerS);
    return begin({event_path(note), event_json(note, node, now_s), Method::kPost, kAnswerMs, false, body_max_},
                 {{}, {}, std::move(done)});
  }
  RequestId patch(std::string path, std::string json, Done done) override {
    return begin({std::move(path), std::move(json), Method::kMergePatch, kAnswerMs, false, body_max_},
                 {{}, {}, std::move(done)});
  }
  void cancel(RequestId request) override { static_cast<void>(take(request)); }
  const KubeConfig& config() const override { return config_; }

 private:
  using Method = ApiRequest::Method;

  struct Live {
    ApiRequest::Wish wish;
    Stream handlers;
    std::unique_ptr<ApiRequest> request;  // null: it ends at the next turn of the loop
    std::string token;
    bool retried = false;
    bool told_open = false;
    EventLoop::TimerId timer = 0;  // a stream's until its answer begins; else until the early end
  };

  RequestId begin(ApiRequest::Wish wish, Stream handlers) {
    const RequestId id = next_id_++;
    auto live = std::make_shared<Live>();
    live->wish = std::move(wish);
    live->handlers = std::move(handlers);
    const auto writes =
        std::ranges::count_if(live_, [](const auto& entry) { return !entry.second->wish.body.empty(); });
    const bool room =
        live_.size() < kRequestsMax && (live->wish.body.empty() || static_cast<std::size_t>(writes) < kWritesMax);
    live_.emplace(id, live);
    auto sent = room ? send(id, *live)
                     : Result<>(Error(Errc::kFull, std::to_string(live_.size() - 1) +
                                                       " requests to the API server are under way: try again later"));
    if (!sent) {
      live->request.reset();
      ApiReply reply;
      reply.error = std::move(sent).error();
      live->timer = loop_.after_ms(0, [this, id, reply = std::move(reply)] { end(id, reply); });
    }
    return id;
  }

  Result<> send(RequestId id, Live& live) {
    auto token = tokens_.get(clock_.now());
    if (!token) {
      return std::move(token).error();
    }
    live.token = std::move(token).value();
    auto request = ApiRequest::make(config_, live.wish, live.token);
    if (!request) {
      return std::move(request).error();
    }
    POSTERN_RETURN_IF_ERROR(curl_->add(request.value()->handle()));
    live.request = std::move(request).value();
    if (live.wish.stream) {
      live.timer = loop_.after_ms(kAnswerMs, [this, id] {
        ApiReply reply;
        reply.error = explain_transport(TransportProblem::kTimeout, "", config_);
        end(id, std::move(reply));
      });
    }
    return {};
  }

  /// Out of the table and out of curl; null if it is not there.
  std::shared_ptr<Live> take(RequestId id) {
    const auto found = live_.find(id);
    if (found == live_.end()) {
      return nullptr;
    }
    auto live = std::move(found->second);
    live_.erase(found);
    drop(*live);
    return live;
  }

  void drop(Live& live) {
    loop_.cancel(std::exchange(live.timer, 0));
    if (live.request != nullptr) {
      curl_->remove(live.request->handle());
      live.request.reset();
    }
  }

  void end(RequestId id, ApiReply reply) {
    if (const auto live = take(id); live != nullptr && live->handlers.on_done) {
      live->handlers.on_done(std::move(reply));
    }
  }

  /// After each turn of curl: what came, then what ended. Callbacks may begin and cancel requests.
  void deliver() {
    std::vector<RequestId> streams;
    for (const auto& [id, live] : live_) {
      if (live->wish.stream) {
        streams.push_back(id);
      }
    }
    for (const RequestId id : streams) {
      deliver_stream(id);
    }
    std::vector<std::pair<RequestId, CURLcode>> finished;
    curl_->take_finished([&](CURL* easy, CURLcode code) {
      for (const auto& [id, live] : live_) {
        if (live->request != nullptr && live->request->handle() == easy) {
          finished.emplace_back(id, code);
        }
      }
    });
    for (const auto& [id, code] : finished) {
      finish(id, code);
    }
  }

  void deliver_stream(RequestId id) {
    const auto found = live_.find(id);
    if (found == live_.end() || found->second->request == nullptr || !found->second->request->opened()) {
      return;
    }
    const std::shared_ptr<Live> live = found->second;  // a callback may cancel it
    if (!std::exchange(live->told_open, true)) {
      loop_.cancel(std::exchange(live->timer, 0));
      if (live->handlers.on_open) {
        live->handlers.on_open();
      }
    }
    if (live->request != nullptr && live->request->has_data() && live->handlers.on_data) {
      const std::string data = live->request->take_data();
      live->handlers.on_data(data);
    }
  }

  void finish(RequestId id, CURLcode code) {
    const auto found = live_.find(id);
    if (found == live_.end() || found->second->request == nullptr) {
      return;  // an earlier callback of this turn cancelled it
    }
    Live& live = *found->second;
    ApiReply reply = live.request->reply(code, config_);
    if (reply.status == 401 && !std::exchange(live.retried, true)) {
      tokens_.refused();
      const auto token = tokens_.get(clock_.now());
      if (token && token.value() != live.token) {
        drop(live);
        if (send(id, live)) {
          return;
        }
      }
    }
    end(id, std::move(reply));
  }

  EventLoop& loop_;
  SystemClock clock_;
  KubeConfig config_;
  TokenSource tokens_;
  std::size_t body_max_;
  std::unique_ptr<CurlLoop> curl_;
  std::map<RequestId, std::shared_ptr<Live>> live_;
  RequestId next_id_ = 1;
};

}  // namespace

Result<std::unique_ptr<ApiClient>> ApiClient::make(EventLoop& loop, KubeConfig config, std::size_t body_max) {
  POSTERN_RETURN_IF_ERROR(check_pem(config.ca, "the certificate authority of the API server"));
  POSTERN_RETURN_IF_ERROR(check_pem(config.client_certificate, "our client certificate"));
  POSTERN_RETURN_IF_ERROR(check_pem(config.client_key, "our client key"));
  auto client = std::make_unique<CurlApiClient>(loop, std::move(config), body_max);
  POSTERN_RETURN_IF_ERROR(client->start());
  return std::unique_ptr<ApiClient>(std::move(client));
}

}  // namespace postern
