// SPDX-License-Identifier: Apache-2.0
#include "base/users.h"

#include <pwd.h>
#include <unistd.h>

#include <charconv>

#include "base/log.h"

namespace postern {

Result<User> find_user(const std::string& text) {
  if (const passwd* entry = ::getpwnam(text.c_str())) {
    return User{entry->pw_uid, entry->pw_gid};
  }
  uid_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  // The last number means "leave it" to the kernel.
  if (failed != std::errc() || end != text.data() + text.size() || number == static_cast<uid_t>(-1)) {
    return Error(Errc::kNotFound, "there is no user \"" + printable(text) + "\": name another, or give a number");
  }
  const passwd* entry = ::getpwuid(number);
  return User{number, entry == nullptr ? static_cast<gid_t>(number) : entry->pw_gid};
}

User own_user() { return {::geteuid(), ::getegid()}; }

}  // namespace postern
