// SPDX-License-Identifier: Apache-2.0
#include "agent/datapath/map.h"

namespace postern {

Result<> check_map_sizes(int fd, std::size_t key_bytes, std::size_t value_bytes, std::string_view name) {
  bpf_map_info info{};
  std::uint32_t size = sizeof(info);
  if (::bpf_map_get_info_by_fd(fd, &info, &size) != 0) {
    return Error::from_errno("looking at map " + std::string(name), errno);
  }
  if (info.key_size != key_bytes || info.value_size != value_bytes) {
    return Error(Errc::kInvalid, "map " + std::string(name) + " has another layout than this program");
  }
  return {};
}

}  // namespace postern
