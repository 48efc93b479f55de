// SPDX-License-Identifier: Apache-2.0
//
// ApiRequest: one request to the API server as a libcurl handle: its options, what came of it, and the
// meaning of curl's result. The handle's owner; knows nothing of loops. Thread: its owner's.
#pragma once

#include <curl/curl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "agent/kube/api_client.h"
#include "agent/kube/kube_config.h"
#include "base/result.h"

namespace postern {

class ApiRequest {
 public:
  enum class Method { kGet, kPost, kMergePatch };
  struct Wish {
    std::string path;
    std::string body;  ///< Of a post or patch, JSON.
    Method method = Method::kGet;
    std::uint64_t whole_ms_max = 0;  ///< Until the last byte.
    bool stream = false;             ///< A good answer's body is for take_data(), not for the reply.
    std::size_t body_max = 0;
  };

  /// @param token  Of this try; empty: none is sent.
  static Result<std::unique_ptr<ApiRequest>> make(const KubeConfig& config, Wish wish, const std::string& token);
  ApiRequest(const ApiRequest&) = delete;
  ApiRequest& operator=(const ApiRequest&) = delete;
  ~ApiRequest();

  CURL* handle() const { return easy_; }
  static ApiRequest* of(CURL* easy);

  bool opened() const { return opened_; }  ///< A stream's 200 has come.
  /// What has come of a stream since the last call.
  std::string take_data() { return std::exchange(data_, {}); }
  bool has_data() const { return !data_.empty(); }
  /// What became of it, once curl is done with it.
  ApiReply reply(CURLcode code, const KubeConfig& config);

 private:
  ApiRequest(CURL* easy, Wish wish) : easy_(easy), wish_(std::move(wish)) {}
  Result<> set_options(const KubeConfig& config, const std::string& token);
  Result<> set_trust(const KubeConfig& config);
  Result<> add_header(const std::string& line);
  static std::size_t on_head(char* line, std::size_t size, std::size_t count, void* self);
  static std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* self);
  static curl_socket_t open_socket(void* self, curlsocktype purpose, curl_sockaddr* address);

  CURL* easy_;
  Wish wish_;
  curl_slist* headers_ = nullptr;
  curl_slist* connect_to_ = nullptr;
  char words_[CURL_ERROR_SIZE] = {};
  bool opened_ = false;
  bool too_large_ = false;
  std::string data_;
};

}  // namespace postern
