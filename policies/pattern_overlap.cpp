// SPDX-License-Identifier: Apache-2.0
#include "policies/pattern_overlap.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postern {
namespace {

/// For what only a "*" stands for: any letter would do.
constexpr std::string_view kAnyLabel = "x";

/// The labels of a pattern, the top-level domain first.
std::vector<std::string_view> labels_of(const NamePattern& pattern) {
  std::vector<std::string_view> labels;
  const std::string_view wire = pattern.labels().bytes();
  for (std::size_t at = 0; wire[at] != '\0'; at += static_cast<std::size_t>(wire[at]) + 1) {
    labels.push_back(wire.substr(at + 1, static_cast<std::size_t>(wire[at])));
  }
  std::ranges::reverse(labels);
  return labels;
}

/// Shortest texts that two globs both match. Whatever a shortest one does, each step leaves a letter or a
/// "*" of one of the globs behind, so the table is filled from their ends.
class GlobPair {
 public:
  GlobPair(std::string_view a, std::string_view b) : a_(a), b_(b) {
    for (std::size_t i = a.size() + 1; i-- > 0;) {
      for (std::size_t j = b.size() + 1; j-- > 0;) {
        at(i, j) = i == a.size() && j == b.size() ? Step{0, 0, 0, '\0'} : best_step(i, j);
      }
    }
  }

  std::optional<std::string> shortest() const {
    std::string text;
    for (std::size_t i = 0, j = 0; i < a_.size() || j < b_.size();) {
      const Step& step = at(i, j);
      if (step.letters == kNever) {
        return std::nullopt;
      }
      if (step.letter != '\0') {
        text += step.letter;
      }
      i += step.of_a;
      j += step.of_b;
    }
    return text;
  }

 private:
  static constexpr std::uint16_t kNever = UINT16_MAX;

  struct Step {
    std::uint16_t letters = kNever;  // that are left to write from here on
    std::uint8_t of_a = 0;
    std::uint8_t of_b = 0;
    char letter = '\0';  // written by this step
  };

  Step& at(std::size_t i, std::size_t j) { return steps_[i * (kLabelMax + 1) + j]; }
  const Step& at(std::size_t i, std::size_t j) const { return steps_[i * (kLabelMax + 1) + j]; }

  Step best_step(std::size_t i, std::size_t j) const {
    const bool a_left = i < a_.size();
    const bool b_left = j < b_.size();
    const bool a_star = a_left && a_[i] == '*';
    const bool b_star = b_left && b_[j] == '*';
    Step best;
    const auto consider = [&](std::uint8_t of_a, std::uint8_t of_b, char letter) {
      const std::uint16_t rest = at(i + of_a, j + of_b).letters;
      const auto letters = static_cast<std::uint16_t>(rest + (letter == '\0' ? 0 : 1));
      if (rest != kNever && letters < best.letters) {
        best = {letters, of_a, of_b, letter};
      }
    };
    if (a_star) {
      consider(1, 0, '\0');  // it stands for nothing more
    }
    if (b_star) {
      consider(0, 1, '\0');
    }
    if (a_left && b_left && !a_star && !b_star && a_[i] == b_[j]) {
      consider(1, 1, a_[i]);
    }
    if (a_star && b_left && !b_star) {
      consider(0, 1, b_[j]);
    }
    if (b_star && a_left && !a_star) {
      consider(1, 0, a_[i]);
    }
    return best;
  }

  std::string_view a_;
  std::string_view b_;
  std::array<Step, (kLabelMax + 1) * (kLabelMax + 1)> steps_;
};

/// A shortest label that both mean.
std::optional<std::string> common_label(std::string_view a, std::string_view b) {
  const bool plain = a.find('*') == std::string_view::npos && b.find('*') == std::string_view::npos;
  auto text = plain ? (a == b ? std::optional(std::string(a)) : std::nullopt) : GlobPair(a, b).shortest();
  if (text && text->empty()) {
    text = kAnyLabel;  // a label has a letter
  }
  return text && text->size() <= kLabelMax ? text : std::nullopt;
}

void put_in_front(std::string_view label, std::string& wire) {
  wire.insert(0, static_cast<char>(label.size()) + std::string(label));
}

}  // namespace

std::optional<DnsName> common_name(const NamePattern& a, const NamePattern& b) {
  const bool a_longer = a.labels().label_count() >= b.labels().label_count();
  const NamePattern& longer = a_longer ? a : b;
  const NamePattern& shorter = a_longer ? b : a;
  const auto many = labels_of(longer);
  const auto few = labels_of(shorter);
  // "below" is one label or more in front: the shorter one needs it, and with as many labels both have it or neither.
  if (many.size() > few.size() ? !shorter.below() : longer.below() != shorter.below()) {
    return std::nullopt;
  }
  std::string wire(1, '\0');
  for (std::size_t i = 0; i < many.size(); ++i) {
    const auto label = common_label(many[i], i < few.size() ? few[i] : "*");
    if (!label) {
      return std::nullopt;
    }
    put_in_front(*label, wire);
  }
  if (longer.below()) {
    put_in_front(kAnyLabel, wire);
  }
  // No shorter name exists: each label is as short as it can be.
  auto name = DnsName::from_wire({reinterpret_cast<const std::uint8_t*>(wire.data()), wire.size()});
  return name ? std::optional(*name) : std::nullopt;
}

}  // namespace postern
