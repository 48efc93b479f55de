// SPDX-License-Identifier: Apache-2.0
#include "base/text_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/fd.h"

namespace postern {

Result<std::string> read_text_file(const std::string& path, std::size_t bytes_max) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    return Error::from_errno("cannot read " + path, errno);
  }
  constexpr std::size_t kPiece = 64u << 10;
  std::string text;
  std::string piece(kPiece, '\0');
  while (text.size() <= bytes_max) {
    const ssize_t got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0) {
      return Error::from_errno("cannot read " + path, errno);
    }
    if (got == 0) {
      text.shrink_to_fit();  // callers keep it
      return text;
    }
    text.append(piece, 0, static_cast<std::size_t>(got));
  }
  return Error(Errc::kInvalid, path + " is larger than " + std::to_string(bytes_max >> 20) + " MiB: split it");
}

Result<> replace_text_file(const std::string& path, std::string_view text) {
  const std::string fresh = path + ".new";
  const Fd out(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  std::string_view rest = text;
  while (out && !rest.empty()) {
    const ssize_t wrote = ::write(out.get(), rest.data(), rest.size());
    if (wrote <= 0) {
      break;
    }
    rest.remove_prefix(static_cast<std::size_t>(wrote));
  }
  if (!out || !rest.empty() || ::rename(fresh.c_str(), path.c_str()) != 0) {
    return Error::from_errno("writing " + path, errno);
  }
  return {};
}

std::string shared_folder(std::string_view name) {
  std::error_code failed;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failed);
  const auto folder = program.parent_path().parent_path() / "share" / name;
  return std::filesystem::is_directory(folder, failed) ? folder.string() : "";
}

Result<std::vector<std::string>> yaml_files_of(const std::string& folder) {
  std::error_code failed;
  std::filesystem::directory_iterator entries(folder, failed);
  std::vector<std::string> files;
  while (!failed && entries != std::filesystem::directory_iterator()) {
    const std::string name = entries->path().filename().string();
    if (!name.starts_with('.') && (name.ends_with(".yaml") || name.ends_with(".yml"))) {
      files.push_back(entries->path().string());
    }
    entries.increment(failed);
  }
  if (failed) {
    return Error::from_errno("cannot read the folder " + folder, failed.value());
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace postern
