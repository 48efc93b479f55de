// SPDX-License-Identifier: Apache-2.0
//
// TokenSource: the bearer token to send now. kubelet puts another one into the file long before the
// old one ends; the file is looked at for each request, and read when it is another file than before,
// after kReadS all the same, and when the API server refused the last one.
// Limit: kTokenMax bytes. Thread: its owner's. A read blocks as long as a small local file takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "base/clock.h"
#include "base/result.h"

namespace postern {

inline constexpr std::size_t kTokenMax = 1u << 20;

/// Fit for a header: printable ASCII without spaces, not empty (RFC 6750 2.1 is narrower still).
bool is_token(std::string_view text);

/// The token in a file, without the white space around it. Its bytes are in no error.
Result<std::string> read_token(const std::string& path);

class TokenSource {
 public:
  static constexpr std::uint64_t kReadS = 60;

  /// @param path  Empty: `fixed` is the token, for ever (empty: none is sent).
  TokenSource(std::string fixed, std::string path) : path_(std::move(path)), token_(std::move(fixed)) {}

  /// @return the token; or the reason why there is none: the file cannot be read and never could be.
  Result<std::string> get(BootNs now);
  /// The API server did not take it: the next get() reads the file whatever its times say.
  void refused() { stale_ = true; }

 private:
  using Identity = std::tuple<std::uint64_t, std::uint64_t, std::int64_t, std::int64_t, std::int64_t>;

  std::optional<Identity> identity_now() const;

  std::string path_;
  std::string token_;
  std::optional<Identity> read_from_;  // device, inode, size, mtime
  BootNs read_at_;
  bool stale_ = true;
};

}  // namespace postern
