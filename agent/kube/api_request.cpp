// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/api_request.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "agent/kube/problem.h"

namespace postern {
namespace {

// A peer that is gone is noticed after 15 + 3 x 5 s of silence, or 30 s after something was sent in vain.
constexpr int kKeepaliveIdleS = 15;
constexpr int kKeepaliveEveryS = 5;
constexpr int kKeepaliveProbes = 3;
constexpr int kUnackedMsMax = 30'000;
constexpr std::size_t kRefusalMax = 64u << 10;  // body of an answer that is no success

TransportProblem problem_of(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
      return TransportProblem::kResolve;
    case CURLE_COULDNT_CONNECT:
      return TransportProblem::kConnect;
    case CURLE_OPERATION_TIMEDOUT:
      return TransportProblem::kTimeout;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
      return TransportProblem::kUntrusted;
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
      return TransportProblem::kTrustFile;
    case CURLE_SSL_CONNECT_ERROR:
      return TransportProblem::kHandshake;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
      return TransportProblem::kBroken;
    default:
      return TransportProblem::kOther;
  }
}

/// "https://name:port" of a server with a certificate for another name.
std::string with_host(const std::string& server, const std::string& host) {
  const std::size_t begin = std::strlen("https://");
  const std::size_t slash = server.find('/', begin);
  const std::string authority = server.substr(begin, slash == std::string::npos ? slash : slash - begin);
  const std::size_t colon = authority.find(':', authority.starts_with('[') ? authority.find(']') : 0);
  return "https://" + host + (colon == std::string::npos ? "" : authority.substr(colon)) +
         (slash == std::string::npos ? "" : server.substr(slash));
}

/// "::host:port" of curl's CONNECT_TO: whatever the URL says, connect to the server's own host.
std::string connect_to(const std::string& server) {
  const std::size_t begin = std::strlen("https://");
  return "::" + server.substr(begin, server.find('/', begin) - begin);
}

template <typename Value>
Result<> set(CURL* easy, CURLoption option, Value value) {
  if (const CURLcode code = curl_easy_setopt(easy, option, value); code != CURLE_OK) {
    return Error(Errc::kUnsupported,
                 std::string("libcurl lacks an option that is needed: ") + curl_easy_strerror(code));
  }
  return {};
}

/// Blobs are copied by curl; a file is read by curl at each handshake.
Result<> set_pem(CURL* easy, const Pem& pem, CURLoption path_option, CURLoption blob_option) {
  if (pem.data.empty()) {
    return pem.path.empty() ? Result<>() : set(easy, path_option, pem.path.c_str());
  }
  curl_blob blob{const_cast<char*>(pem.data.data()), pem.data.size(), CURL_BLOB_COPY};
  return set(easy, blob_option, &blob);
}

}  // namespace

Result<std::unique_ptr<ApiRequest>> ApiRequest::make(const KubeConfig& config, Wish wish, const std::string& token) {
  CURL* easy = curl_easy_init();
  if (easy == nullptr) {
    return Error(Errc::kFull, "libcurl gives no handle");
  }
  std::unique_ptr<ApiRequest> made(new ApiRequest(easy, std::move(wish)));
  POSTERN_RETURN_IF_ERROR(made->set_options(config, token));
  return made;
}

ApiRequest::~ApiRequest() {
  curl_easy_cleanup(easy_);
  curl_slist_free_all(headers_);
  curl_slist_free_all(connect_to_);
}

ApiRequest* ApiRequest::of(CURL* easy) {
  void* self = nullptr;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &self);
  return static_cast<ApiRequest*>(self);
}

Result<> ApiRequest::add_header(const std::string& line) {
  curl_slist* longer = curl_slist_append(headers_, line.c_str());
  if (longer == nullptr) {
    return Error(Errc::kFull, "libcurl takes no header");
  }
  headers_ = longer;
  return {};
}

Result<> ApiRequest::set_options(const KubeConfig& config, const std::string& token) {
  const std::string server =
      config.tls_server_name.empty() ? config.server : with_host(config.server, config.tls_server_name);
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_URL, (server + wish_.path).c_str()));
  if (!config.tls_server_name.empty()) {
    connect_to_ = curl_slist_append(nullptr, connect_to(config.server).c_str());
    POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_CONNECT_TO, connect_to_));
  }
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_PROTOCOLS_STR, "https"));
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_FOLLOWLOCATION, 0L));
  // Of the environment's proxy nothing is known; a token is not sent through it.
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_PROXY, ""));
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_NOSIGNAL, 1L));
  // A name that is still being looked up when time is over: curl would wait for its thread, and the loop with it.
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_QUICK_EXIT, 1L));
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1}));
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(ApiClient::kConnectMs)));
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_TIMEOUT_MS, static_cast<long>(wish_.whole_ms_max)));
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_ERRORBUFFER, words_));
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_PRIVATE, this));
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_HEADERFUNCTION, &ApiRequest::on_head));
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_HEADERDATA, this));
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_WRITEFUNCTION, &ApiRequest::on_body));
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_WRITEDATA, this));
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_OPENSOCKETFUNCTION, &ApiRequest::open_socket));
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_USERAGENT, "posternd/" POSTERN_VERSION));
  if (!token.empty()) {
    POSTERN_RETURN_IF_ERROR(add_header("Authorization: Bearer " + token));
  }
  POSTERN_RETURN_IF_ERROR(add_header("Accept: application/json"));
  if (!wish_.body.empty()) {
    const bool patch = wish_.method == Method::kMergePatch;
    POSTERN_RETURN_IF_ERROR(
        add_header(patch ? "Content-Type: application/merge-patch+json" : "Content-Type: application/json"));
    if (patch) {
      POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_CUSTOMREQUEST, "PATCH"));
    }
    POSTERN_RETURN_IF_ERROR(add_header("Expect:"));
    POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_POSTFIELDSIZE, static_cast<long>(wish_.body.size())));
    POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_POSTFIELDS, wish_.body.c_str()));
  }
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_HTTPHEADER, headers_));
  return set_trust(config);
}

Result<> ApiRequest::set_trust(const KubeConfig& config) {
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_SSL_VERIFYPEER, 1L));
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_SSL_VERIFYHOST, 2L));
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2}));
  if (config.ca.present()) {
    // Only the cluster's authority: curl would trust the system's beside it.
    POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_CAPATH, static_cast<char*>(nullptr)));
    POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_CAINFO, static_cast<char*>(nullptr)));
    POSTERN_RETURN_IF_ERROR(set_pem(easy_, config.ca, CURLOPT_CAINFO, CURLOPT_CAINFO_BLOB));
    // Read for each connection: the file may be rotated.
    POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_CA_CACHE_TIMEOUT, 0L));
  }
  // Without it OpenSSL would ask the terminal for the password of an encrypted key.
  POSTERN_RETURN_IF_ERROR(set(easy_, CURLOPT_KEYPASSWD, ""));
  POSTERN_RETURN_IF_ERROR(set_pem(easy_, config.client_certificate, CURLOPT_SSLCERT, CURLOPT_SSLCERT_BLOB));
  return set_pem(easy_, config.client_key, CURLOPT_SSLKEY, CURLOPT_SSLKEY_BLOB);
}

curl_socket_t ApiRequest::open_socket(void*, curlsocktype, curl_sockaddr* address) {
  const int fd = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0) {
    return CURL_SOCKET_BAD;
  }
  // Each is best effort: without them a dead connection is noticed by the watch's own time limit.
  const auto tell = [fd](int level, int option, int value) {
    static_cast<void>(::setsockopt(fd, level, option, &value, sizeof(value)));
  };
  tell(SOL_SOCKET, SO_KEEPALIVE, 1);
  tell(IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveIdleS);
  tell(IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveEveryS);
  tell(IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveProbes);
  tell(IPPROTO_TCP, TCP_USER_TIMEOUT, kUnackedMsMax);
  return fd;
}

std::size_t ApiRequest::on_head(char* line, std::size_t size, std::size_t count, void* self) {
  auto* const me = static_cast<ApiRequest*>(self);
  const std::string_view text(line, size * count);
  if (me->wish_.stream && (text == "\r\n" || text == "\n")) {
    long status = 0;
    curl_easy_getinfo(me->easy_, CURLINFO_RESPONSE_CODE, &status);
    me->opened_ = status == 200;
  }
  return size * count;
}

std::size_t ApiRequest::on_body(char* bytes, std::size_t size, std::size_t count, void* self) {
  auto* const me = static_cast<ApiRequest*>(self);
  long status = 0;
  curl_easy_getinfo(me->easy_, CURLINFO_RESPONSE_CODE, &status);
  const std::size_t limit = status >= 200 && status < 300 ? me->wish_.body_max : kRefusalMax;
  const std::size_t length = size * count;
  // A stream's data is taken after each turn of curl, which reads less than this in one.
  if (me->data_.size() + length > limit) {
    me->too_large_ = true;
    return 0;
  }
  me->data_.append(bytes, length);
  return length;
}

ApiReply ApiRequest::reply(CURLcode code, const KubeConfig& config) {
  ApiReply reply;
  long status = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
  curl_off_t retry_after_s = 0;
  curl_easy_getinfo(easy_, CURLINFO_RETRY_AFTER, &retry_after_s);
  reply.retry_after_s = static_cast<std::uint32_t>(std::clamp<curl_off_t>(retry_after_s, 0, 3'600));
  reply.body = std::move(data_);
  const bool refused = status != 0 && (status < 200 || status >= 300);
  if (refused) {
    // Also when its text was cut off: the status is what counts.
    reply.status = static_cast<int>(status);
    reply.error = explain_status(reply.status, reply.body, config);
    return reply;
  }
  if (code == CURLE_OK) {
    reply.status = static_cast<int>(status);
    return reply;
  }
  reply.too_large = too_large_;
  long system = 0;
  curl_easy_getinfo(easy_, CURLINFO_OS_ERRNO, &system);
  curl_off_t looked_up_us = 0;
  curl_easy_getinfo(easy_, CURLINFO_NAMELOOKUP_TIME_T, &looked_up_us);
  const bool nameless = code == CURLE_OPERATION_TIMEDOUT && looked_up_us == 0;
  const TransportProblem problem = too_large_ ? TransportProblem::kTooLarge
                                   : nameless ? TransportProblem::kResolve
                                              : problem_of(code);
  // The text must not change from try to try: curl's own words for these two hold durations.
  const char* words = "";
  if (problem == TransportProblem::kConnect) {
    words = system != 0 ? std::strerror(static_cast<int>(system)) : "";
  } else if (code != CURLE_OPERATION_TIMEDOUT && problem != TransportProblem::kTooLarge) {
    words = words_[0] != '\0' ? words_ : curl_easy_strerror(code);
  }
  reply.error = explain_transport(problem, words, config);
  return reply;
}

}  // namespace postern
