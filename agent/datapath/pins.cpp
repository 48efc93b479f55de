// SPDX-License-Identifier: Apache-2.0
#include "agent/datapath/pins.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"

namespace postern {
namespace {

struct Shape {
  const char* name;
  std::uint32_t pinned;
  std::uint32_t ours;
};

Result<> check_pinned(const bpf_map* map, const std::string& dir, const std::string& path) {
  const Fd pinned(::bpf_obj_get(path.c_str()));
  if (!pinned) {
    return errno == ENOENT ? Result<>() : Result<>(Error::from_errno("opening the pinned map " + path, errno));
  }
  bpf_map_info info{};
  std::uint32_t size = sizeof(info);
  if (::bpf_map_get_info_by_fd(pinned.get(), &info, &size) != 0) {
    return Error::from_errno("looking at what is pinned at " + path, errno);
  }
  for (const Shape& shape :
       {Shape{"type", info.type, bpf_map__type(map)}, Shape{"key size", info.key_size, bpf_map__key_size(map)},
        Shape{"value size", info.value_size, bpf_map__value_size(map)},
        Shape{"number of entries", info.max_entries, bpf_map__max_entries(map)},
        Shape{"flags", info.map_flags, bpf_map__map_flags(map)}}) {
    if (shape.pinned != shape.ours) {
      return Error(Errc::kInvalid, path + " is of another version of Postern (" + shape.name + " " +
                                       std::to_string(shape.pinned) + ", not " + std::to_string(shape.ours) +
                                       "): " + how_to_begin_anew(dir));
    }
  }
  return {};
}

}  // namespace

PinFolders::~PinFolders() {
  for (auto path = made_.rbegin(); path != made_.rend(); ++path) {
    ::rmdir(path->c_str());  // or somebody has put something there
  }
}

Result<> PinFolders::make(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) {
    made_.push_back(path);
  } else if (errno != EEXIST) {
    return Error::from_errno("making " + path, errno);
  }
  return {};
}

Result<> pin_maps(bpf_object* object, const std::string& dir) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    if (bpf_map__is_internal(map)) {
      continue;  // constants of the programs: each build brings its own
    }
    const std::string path = dir + "/" + bpf_map__name(map);
    POSTERN_RETURN_IF_ERROR(check_pinned(map, dir, path));
    if (const int set = bpf_map__set_pin_path(map, path.c_str()); set != 0) {
      return Error::from_errno("choosing " + path, -set);
    }
  }
  return {};
}

std::string how_to_begin_anew(const std::string& dir) {
  return "run the Postern that made it, or stop the sandboxes, then posternd, and remove " + dir +
         " (which takes the gate off)";
}

}  // namespace postern
