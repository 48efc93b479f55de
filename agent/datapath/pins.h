// SPDX-License-Identifier: Apache-2.0
//
// Pinned maps: where each lies, and whether what lies there is ours.
//
// A map that another build or another program pinned is refused before libbpf would, with what to
// do about it: nothing here is ever removed on its own, since the live gate hangs on it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

struct bpf_map;  // libbpf's
struct bpf_object;

namespace postern {

/// Folders for pins. Unless they are kept, those that were made go again, so that a load that failed leaves nothing.
class PinFolders {
 public:
  PinFolders() = default;
  PinFolders(const PinFolders&) = delete;
  PinFolders& operator=(const PinFolders&) = delete;
  ~PinFolders();
  /// One that is there already is no error, and stays.
  Result<> make(const std::string& path);
  void keep() { made_.clear(); }

 private:
  std::vector<std::string> made_;
};

/// Makes libbpf pin every map of an opened object below `dir`, or take over the one that is there.
/// @return invalid: one there has another type, size or flags than this build's.
Result<> pin_maps(bpf_object* object, const std::string& dir);

/// For messages: how to begin anew, and what that costs.
std::string how_to_begin_anew(const std::string& dir);

}  // namespace postern
