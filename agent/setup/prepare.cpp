// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/prepare.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "agent/datapath/kernel.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text_files.h"

namespace postern {
namespace {

constexpr std::size_t kProfileMax = 1u << 20;

Result<> make_folder(const std::string& path, const User& owner) {
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
    return Error::from_errno("making " + path, errno);
  }
  // By its descriptor: whoever owned it before may have put a link in its place.
  const Fd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder || ::fchown(folder.get(), owner.uid, owner.gid) != 0) {
    return Error::from_errno("giving " + path + " to user " + std::to_string(owner.uid), errno);
  }
  return {};
}

/// run_dir/NAME.sock -> NAME/NAME.sock, where a daemon that is not root can make it.
Result<> make_link(const std::string& run_dir, const std::string& name) {
  const std::string path = run_dir + "/" + name + ".sock";
  const std::string target = name + "/" + name + ".sock";
  const std::string made = path + ".new";
  ::unlink(made.c_str());
  if (::symlink(target.c_str(), made.c_str()) != 0 || ::rename(made.c_str(), path.c_str()) != 0) {
    return Error::from_errno("making " + path, errno);
  }
  return {};
}

Result<> make_run_folders(const PrepareOptions& options) {
  if (::mkdir(options.run_dir.c_str(), 0755) != 0 && errno != EEXIST) {
    return Error::from_errno("making " + options.run_dir, errno);
  }
  const auto dns = find_user(options.dns_user);
  const auto observer = find_user(options.observer_user);
  if (!dns || !observer) {
    return dns ? observer.error() : dns.error();
  }
  POSTERN_RETURN_IF_ERROR(make_folder(options.run_dir + "/dns", *dns));
  POSTERN_RETURN_IF_ERROR(make_folder(options.run_dir + "/observer", *observer));
  POSTERN_RETURN_IF_ERROR(make_link(options.run_dir, "dns"));
  return make_link(options.run_dir, "observer");
}

Result<> write_file(const std::string& path, const std::string& text) {
  const std::string made = path + ".new";
  const Fd file(::open(made.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::rename(made.c_str(), path.c_str()) != 0) {
    return Error::from_errno("writing " + path, errno);
  }
  return {};
}

Result<> install_profiles(const PrepareOptions& options) {
  std::error_code failed;
  std::vector<std::filesystem::path> profiles;
  for (std::filesystem::directory_iterator at(options.profiles_from, failed), end; !failed && at != end;
       at.increment(failed)) {
    if (at->path().extension() == ".json") {
      profiles.push_back(at->path());
    }
  }
  if (profiles.empty()) {
    return Error(Errc::kNotFound, "this image has no seccomp profiles in " + options.profiles_from +
                                      ", and without them postern-dns cannot write grants: make the image again "
                                      "(./dev image)");
  }
  std::filesystem::create_directories(options.profiles_to, failed);
  if (failed) {
    return Error::from_errno("making " + options.profiles_to, failed.value());
  }
  for (const auto& profile : profiles) {
    auto text = read_text_file(profile.string(), kProfileMax);
    if (!text) {
      return std::move(text).error();
    }
    POSTERN_RETURN_IF_ERROR(write_file(options.profiles_to + "/" + profile.filename().string(), *text));
  }
  spdlog::info("{} seccomp profiles are in {}", profiles.size(), options.profiles_to);
  return {};
}

}  // namespace

Result<> prepare_node(const PrepareOptions& options) {
  const KernelFacts facts = kernel_facts();
  POSTERN_RETURN_IF_ERROR(require_kernel(facts));
  POSTERN_RETURN_IF_ERROR(require_bpffs(options.bpf_dir));
  POSTERN_RETURN_IF_ERROR(make_run_folders(options));
  if (!options.profiles_to.empty()) {
    POSTERN_RETURN_IF_ERROR(install_profiles(options));
  }
  spdlog::info("this node is ready: kernel {}, with type information and a BPF file system", facts.release);
  return {};
}

}  // namespace postern
