// SPDX-License-Identifier: Apache-2.0
//
// Replays files, and the files of folders, through a fuzz target: what a compiler without libFuzzer can do.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "tests/fuzz/fuzz.h"

namespace {

bool replay(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> read((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  // An exact copy, so that a sanitizer sees a read behind its end.
  const std::unique_ptr<std::uint8_t[]> data(new std::uint8_t[read.size()]);
  std::copy(read.begin(), read.end(), data.get());
  std::printf("%s\n", path.c_str());
  std::fflush(stdout);
  LLVMFuzzerTestOneInput(data.get(), read.size());
  return static_cast<bool>(file) || file.eof();
}

}  // namespace

int main(int argc, char** argv) {
  int replayed = 0;
  for (int i = 1; i < argc; ++i) {
    const std::filesystem::path path = argv[i];
    if (!std::filesystem::is_directory(path)) {
      replayed += replay(path) ? 1 : 0;
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      replayed += replay(entry.path()) ? 1 : 0;
    }
  }
  LLVMFuzzerTestOneInput(nullptr, 0);
  std::printf("%d inputs\n", replayed);
  return replayed > 0 ? 0 : 1;
}
