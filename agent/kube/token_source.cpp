// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/token_source.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/log.h"
#include "base/text_files.h"

namespace postern {

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

Result<std::string> read_token(const std::string& path) {
  auto text = read_text_file(path, kTokenMax);
  if (!text) {
    return std::move(text).error();
  }
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = text->find_first_not_of(kSpace);
  std::string token = first == std::string::npos ? "" : text->substr(first, text->find_last_not_of(kSpace) - first + 1);
  if (!is_token(token)) {
    return Error(Errc::kInvalid, printable(path) + " holds no token");
  }
  return token;
}

std::optional<TokenSource::Identity> TokenSource::identity_now() const {
  struct stat info {};
  if (::stat(path_.c_str(), &info) != 0) {
    return std::nullopt;
  }
  return Identity{info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

Result<std::string> TokenSource::get(BootNs now) {
  if (path_.empty()) {
    return token_;
  }
  const auto identity = identity_now();
  if (!stale_ && identity == read_from_ && now - read_at_ < kReadS * kNsPerS) {
    return token_;
  }
  auto token = read_token(path_);
  if (!token) {
    if (token_.empty()) {
      return std::move(token).error();
    }
    // The old one may still be good; the API server will say.
    spdlog::warn("the service account's token stays the old one: {}", token.error().message());
    stale_ = false;
    read_from_ = identity;
    read_at_ = now;
    return token_;
  }
  token_ = std::move(token).value();
  read_from_ = identity;
  read_at_ = now;
  stale_ = false;
  return token_;
}

}  // namespace postern
