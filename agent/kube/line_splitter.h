// SPDX-License-Identifier: Apache-2.0
//
// LineSplitter: the lines of a stream that comes in pieces cut anywhere, as a watch does (one JSON
// object a line). Holds at most one line of `line_max` bytes; a longer one is passed over to its end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace postern {

class LineSplitter {
 public:
  explicit LineSplitter(std::size_t line_max) : line_max_(line_max) {}

  /// Takes bytes and hands on each line that is complete, without its newline; empty ones are left out.
  ///
  /// @param on_line  bool(std::string_view): false stops, and the rest of `bytes` is forgotten.
  template <typename OnLine>
  void feed(std::string_view bytes, OnLine&& on_line) {
    while (!bytes.empty()) {
      const auto end = bytes.find('\n');
      const std::string_view piece = bytes.substr(0, end);
      if (end == std::string_view::npos) {
        hold(piece);
        return;
      }
      bytes.remove_prefix(end + 1);
      if (!hand_on(piece, on_line)) {
        return;
      }
    }
  }

  /// Forgets what is held: the next byte begins a line.
  void reset() {
    held_.clear();
    skipping_ = false;
  }

  std::size_t held() const { return held_.size(); }
  std::uint64_t too_long() const { return too_long_; }  ///< Lines passed over.

 private:
  void hold(std::string_view piece) {
    if (skipping_) {
      return;
    }
    if (piece.size() > line_max_ - held_.size()) {
      // Gives the memory back too: one long line is rare.
      std::string().swap(held_);
      skipping_ = true;
      ++too_long_;
      return;
    }
    held_ += piece;
  }

  template <typename OnLine>
  bool hand_on(std::string_view piece, OnLine& on_line) {
    if (held_.empty() && !skipping_ && piece.size() <= line_max_) {
      return piece.empty() || on_line(piece);
    }
    hold(piece);
    const std::string line = std::exchange(held_, {});
    return std::exchange(skipping_, false) || on_line(std::string_view(line));
  }

  std::size_t line_max_;
  std::string held_;
  bool skipping_ = false;
  std::uint64_t too_long_ = 0;
};

}  // namespace postern
