// SPDX-License-Identifier: Apache-2.0
#include "cli/machine_view.h"

#include <algorithm>
#include <filesystem>
#include <regex>
#include <utility>

#include "base/text_files.h"

namespace postern {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProgramFolders[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",        "/usr/bin",
                                           "/sbin",           "/bin",           "/usr/local/go/bin"};

std::vector<std::string> sorted_entries(const fs::path& folder, bool folders) {
  std::vector<std::string> names;
  std::error_code failed;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    std::error_code odd;
    if (folders ? at->is_directory(odd) : at->is_regular_file(odd)) {
      names.push_back(at->path().filename().string());
    }
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace

MachineView::MachineView(std::string root, std::string project, std::map<std::string, std::string> environment)
    : root_(std::move(root)), project_(std::move(project)) {
  while (root_.ends_with('/')) {
    root_.pop_back();
  }
  if (root_.empty()) {
    environment_ = std::move(environment);
    if (const std::string home = variable("HOME"); !home.empty()) {
      homes_.push_back(home);
    }
    return;
  }
  homes_.push_back("/root");
  for (const std::string& user : folders_in("/home")) {
    homes_.push_back("/home/" + user);
  }
}

std::optional<std::string> MachineView::real_path(const std::string& path) const {
  std::error_code failed;
  const fs::path real = fs::canonical(root_ + path, failed);
  if (failed) {
    return std::nullopt;
  }
  const fs::path root = root_.empty() ? fs::path("/") : fs::canonical(root_, failed);
  const bool inside = !failed && std::mismatch(root.begin(), root.end(), real.begin(), real.end()).first == root.end();
  return inside ? std::optional(real.string()) : std::nullopt;
}

std::optional<std::string> MachineView::read(const std::string& path) const {
  const auto real = real_path(path);
  std::error_code failed;
  if (!real || !fs::is_regular_file(*real, failed)) {
    return std::nullopt;
  }
  auto text = read_text_file(*real, kFileMax);
  return text ? std::optional(std::move(*text)) : std::nullopt;
}

std::vector<std::string> MachineView::files_in(const std::string& folder, const std::string& suffix) const {
  std::vector<std::string> paths;
  if (const auto real = real_path(folder)) {
    for (const std::string& name : sorted_entries(*real, false)) {
      if (name.ends_with(suffix) && !name.starts_with('.')) {
        paths.push_back(folder + "/" + name);
      }
    }
  }
  return paths;
}

std::vector<std::string> MachineView::folders_in(const std::string& folder) const {
  const auto real = real_path(folder);
  return real ? sorted_entries(*real, true) : std::vector<std::string>();
}

std::string MachineView::program(const std::string& name) const {
  std::vector<std::string> folders(std::begin(kProgramFolders), std::end(kProgramFolders));
  for (const std::string& home : homes_) {
    folders.push_back(home + "/.cargo/bin");
    folders.push_back(home + "/.local/bin");
  }
  for (const std::string& folder : folders) {
    std::error_code failed;
    const std::string path = folder + "/" + name;
    // Its link may lead anywhere, also to nothing that is here: that it is there is enough.
    if (fs::exists(fs::symlink_status(root_ + path, failed))) {
      return path;
    }
  }
  return "";
}

std::string MachineView::variable(const std::string& name) const {
  const auto found = environment_.find(name);
  return found == environment_.end() ? "" : found->second;
}

std::string MachineView::expand(const std::string& text) const {
  static const std::regex kVariable(R"(\$\{(\w+)\}|\$(\w+))");
  std::string out;
  auto rest = text.cbegin();
  for (std::sregex_iterator at(text.begin(), text.end(), kVariable), end; at != end; ++at) {
    const std::string value = variable((*at)[1].matched ? (*at)[1].str() : (*at)[2].str());
    out.append(rest, (*at)[0].first);
    out += value.empty() ? at->str() : value;
    rest = (*at)[0].second;
  }
  return out.append(rest, text.cend());
}

}  // namespace postern
