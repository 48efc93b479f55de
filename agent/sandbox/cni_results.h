// SPDX-License-Identifier: Apache-2.0
//
// CniResults: the folder of cached CNI results, kept in step with inotify.
//
// Files of pods that are long gone may lie there (a node that crashed): of several that describe an
// interface the newest counts. A folder that is not there is looked for again every kRetryMs, and does
// no harm: the API server's word is waited for then. Limit: kFilesMax. Thread: the loop's.
#pragma once

#include <time.h>

#include <functional>
#include <map>
#include <string>

#include "agent/netlink/host_links.h"
#include "agent/sandbox/cni_result.h"
#include "base/event_loop.h"
#include "base/fd.h"

namespace postern {

class CniResults {
 public:
  static constexpr std::size_t kFilesMax = 4096;
  static constexpr std::uint64_t kRetryMs = 5'000;

  CniResults(EventLoop& loop, std::string folder, std::function<void()> on_change);
  CniResults(const CniResults&) = delete;
  CniResults& operator=(const CniResults&) = delete;
  ~CniResults();

  void start();
  /// There is a folder, and it can be read.
  bool available() const { return static_cast<bool>(inotify_); }
  /// Null: nothing there speaks of an interface with this other end. A result that names another of the node's links
  /// speaks of that one, whatever the other end of this one looks like: that is in the hands of what runs there.
  /// @param is_link  Has the node a link of this name?
  const CniResult* find(const HostLink& link, const std::function<bool(const std::string&)>& is_link) const;

 private:
  struct File {
    CniResult result;
    std::uint64_t modified_ns = 0;
  };

  Result<> watch();
  void on_readable();
  void read(const std::string& name);

  EventLoop& loop_;
  std::string folder_;
  std::function<void()> on_change_;
  Fd inotify_;
  EventLoop::TimerId retry_ = 0;
  bool told_ = false;  // that it cannot be read
  std::map<std::string, File> files_;
};

}  // namespace postern
