// SPDX-License-Identifier: Apache-2.0
#include "agent/sandbox/cni_results.h"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include "base/log.h"
#include "base/text_files.h"

namespace postern {

CniResults::CniResults(EventLoop& loop, std::string folder, std::function<void()> on_change)
    : loop_(loop), folder_(std::move(folder)), on_change_(std::move(on_change)) {}

CniResults::~CniResults() {
  loop_.cancel(retry_);
  if (inotify_) {
    loop_.unwatch(inotify_.get());
  }
}

void CniResults::start() {
  auto watched = watch();
  if (watched) {
    told_ = false;
    spdlog::info("reading the CNI's results in {}", folder_);
    on_change_();
    return;
  }
  if (!std::exchange(told_, true)) {
    spdlog::warn("{}: pods are told apart by the API server alone, which is later", watched.error().message());
  }
  retry_ = loop_.after_ms(kRetryMs, [this] { start(); });
}

/// The watch before the list: what comes between the two is seen twice, and nothing is missed.
Result<> CniResults::watch() {
  Fd inotify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  constexpr std::uint32_t kChanges = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF;
  if (!inotify || ::inotify_add_watch(inotify.get(), folder_.c_str(), kChanges | IN_ONLYDIR) < 0) {
    return Error::from_errno("watching " + folder_, errno);
  }
  std::error_code failed;
  std::filesystem::directory_iterator entries(folder_, failed);
  files_.clear();
  while (!failed && entries != std::filesystem::directory_iterator()) {
    read(entries->path().filename().string());
    entries.increment(failed);
  }
  if (failed) {
    return Error::from_errno("reading " + folder_, failed.value());
  }
  POSTERN_RETURN_IF_ERROR(loop_.watch(inotify.get(), EPOLLIN, [this](std::uint32_t) { on_readable(); }));
  inotify_ = std::move(inotify);
  return {};
}

void CniResults::on_readable() {
  alignas(inotify_event) std::array<char, 16384> buffer;
  std::set<std::string> names;
  bool lost = false;
  for (ssize_t got = 0; (got = ::read(inotify_.get(), buffer.data(), buffer.size())) > 0;) {
    for (ssize_t at = 0; at < got;) {
      inotify_event event{};
      std::memcpy(&event, buffer.data() + at, sizeof(event));
      lost = lost || (event.mask & (IN_Q_OVERFLOW | IN_DELETE_SELF | IN_IGNORED)) != 0;
      if (event.len > 0) {
        names.insert(buffer.data() + at + sizeof(event));
      }
      at += static_cast<ssize_t>(sizeof(event) + event.len);
    }
  }
  if (lost) {
    loop_.unwatch(inotify_.get());
    inotify_ = Fd();
    loop_.cancel(retry_);
    start();
    return;
  }
  for (const std::string& name : names) {
    read(name);
  }
  on_change_();
}

/// Anything that is not a pod's result is no concern of ours: the loopback's is one too.
void CniResults::read(const std::string& name) {
  files_.erase(name);
  const std::string path = folder_ + "/" + name;
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || files_.size() >= kFilesMax) {
    return;
  }
  const auto text = read_text_file(path, kCniResultMax);
  auto result = text ? read_cni_result(*text) : Result<CniResult>(text.error());
  if (!result) {
    spdlog::debug("{}: {}", path, result.error().message());
    return;
  }
  const auto modified_ns =
      static_cast<std::uint64_t>(status.st_mtim.tv_sec) * kNsPerS + static_cast<std::uint64_t>(status.st_mtim.tv_nsec);
  files_[name] = {std::move(*result), modified_ns};
}

const CniResult* CniResults::find(const HostLink& link, const std::function<bool(const std::string&)>& is_link) const {
  const File* newest = nullptr;
  for (const auto& [file_name, file] : files_) {
    const std::vector<std::string>& names = file.result.host_names;
    const bool of_another =
        std::ranges::find(names, link.info.name) == names.end() && std::ranges::any_of(names, is_link);
    if (!of_another && describes(file.result, link.addresses, link.peer_mac) &&
        (newest == nullptr || newest->modified_ns < file.modified_ns)) {
      newest = &file;
    }
  }
  return newest == nullptr ? nullptr : &newest->result;
}

}  // namespace postern
