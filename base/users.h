// SPDX-License-Identifier: Apache-2.0
//
// Users as an administrator names them: by name, or by number where no file lists them (a container
// that was told to run as any number).
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"

namespace postern {

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
};

/// @param text a name of passwd(5), or a number. The group of a number without an entry is the same number.
/// @return not found, with what to do.
Result<User> find_user(const std::string& text);

/// The user that the process is.
User own_user();

}  // namespace postern
