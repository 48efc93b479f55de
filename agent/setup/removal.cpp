// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/removal.h"

#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <memory>
#include <vector>

#include "agent/datapath/attachment.h"
#include "agent/netlink/changes.h"
#include "agent/netlink/links.h"
#include "agent/setup/keeper_client.h"
#include "agent/setup/steering_namespace.h"
#include "base/channel.h"
#include "base/log.h"

namespace postern {
namespace {

namespace fs = std::filesystem;

Result<> refuse_while_running(const std::string& run_dir) {
  for (const char* name : {"control", "dns"}) {
    const std::string path = run_dir + "/" + name + ".sock";
    const auto socket = connect_unix(path);
    if (socket || (socket.error().code() != Errc::kNotFound && socket.error().code() != Errc::kClosed)) {
      return Error(Errc::kExists, std::string(name == std::string("dns") ? "postern-dns" : "posternd") +
                                      " still runs (it answers on " + path +
                                      "): stop it first, on a cluster by deleting its DaemonSet");
    }
  }
  return {};
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code failed;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    found.push_back(at->path());
  }
  return found;
}

/// Removes what is in a folder and the folder, if it is one of its own and no mount point. Counts entries.
Result<std::uintmax_t> remove_tree(const std::string& path) {
  std::error_code failed;
  std::uintmax_t count = 0;
  for (const fs::path& entry : entries_of(path)) {
    count += fs::remove_all(entry, failed);
    if (failed) {
      return Error::from_errno("removing " + entry.string(), failed.value());
    }
  }
  fs::remove(path, failed);
  // A volume of this container is a mount point, and under a read-only root cannot even be asked to go.
  if (failed && failed != std::errc::device_or_resource_busy && failed != std::errc::read_only_file_system) {
    return Error::from_errno("removing " + path, failed.value());
  }
  return count;
}

/// A pinned link is named by its interface: links/7-in. To unpin one is to take its program off, unless another
/// descriptor holds it; detaching does not depend on that.
Result<int> detach_links(const fs::path& links) {
  Attachments attachments(links.string(), AttachKind::kTcx);
  int count = 0;
  for (const fs::path& entry : entries_of(links)) {
    const std::string name = entry.filename().string();
    std::uint32_t ifindex = 0;
    const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), ifindex);
    if (failed == std::errc()) {
      const Hook hook = std::string_view(end) == "-in" ? Hook::kIngress : Hook::kEgress;
      POSTERN_RETURN_IF_ERROR(attachments.detach(ifindex, hook));
      ++count;
    }
  }
  return count;
}

/// Before kernel 6.6 nothing is pinned that says where our filters are: look at every interface.
Result<> detach_filters() {
  const std::unique_ptr<struct if_nameindex, decltype(&::if_freenameindex)> interfaces(::if_nameindex(),
                                                                                       &::if_freenameindex);
  if (!interfaces) {
    return Error::from_errno("listing interfaces", errno);
  }
  Attachments attachments("", AttachKind::kClsact);
  for (const struct if_nameindex* at = interfaces.get(); at->if_index != 0; ++at) {
    for (const Hook hook : {Hook::kIngress, Hook::kEgress}) {
      POSTERN_RETURN_IF_ERROR(attachments.detach(at->if_index, hook));
    }
  }
  return {};
}

/// pin_dir/vN holds the gate of layout N.
Result<> take_gate_off(const std::string& pin_dir) {
  if (entries_of(pin_dir).empty()) {
    spdlog::info("there is no gate in {}", pin_dir);
    return {};
  }
  int programs = 0;
  for (const fs::path& version : entries_of(pin_dir)) {
    auto detached = detach_links(version / "links");
    if (!detached) {
      return std::move(detached).error();
    }
    programs += *detached;
  }
  if (best_attach_kind() == AttachKind::kClsact) {
    POSTERN_RETURN_IF_ERROR(detach_filters());
  }
  auto pins = remove_tree(pin_dir);
  if (!pins) {
    return std::move(pins).error();
  }
  spdlog::info("the gate is off: {} programs taken off interfaces, {} pins removed from {}", programs, *pins, pin_dir);
  return {};
}

Result<> remove_steering(const std::string& link_name) {
  const auto link = find_link(link_name);
  if (!link || !is_steering_link(*link)) {
    return {};  // it goes with the last process that held a socket behind it
  }
  POSTERN_RETURN_IF_ERROR(remove_link(link->ifindex));
  spdlog::info("removed the steering link {}", link_name);
  return {};
}

}  // namespace

Result<> remove_everything(const RemovalOptions& options) {
  const BootNs deadline = SystemClock().now() + options.wait_s * kNsPerS;
  auto ended = refuse_while_running(options.run_dir);
  while (!ended && poll_again(deadline)) {
    ended = refuse_while_running(options.run_dir);
  }
  POSTERN_RETURN_IF_ERROR(ended);
  POSTERN_RETURN_IF_ERROR(take_gate_off(options.pin_dir));
  POSTERN_RETURN_IF_ERROR(remove_steering(options.link_name));
  for (const std::string& folder : {options.run_dir, options.profiles}) {
    if (!folder.empty() && fs::exists(folder)) {
      auto removed = remove_tree(folder);
      if (!removed) {
        return std::move(removed).error();
      }
    }
  }
  spdlog::info("nothing of Postern is left on this machine but its program files");
  return {};
}

}  // namespace postern
