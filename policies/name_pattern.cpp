// SPDX-License-Identifier: Apache-2.0
#include "policies/name_pattern.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/log.h"

namespace postern {
namespace {

/// A name is matched by walking both ways at every "*" label; this bounds the walk.
constexpr std::size_t kStarLabelsMax = 5;

Error invalid(std::string_view text, const std::string& why) {
  return {Errc::kInvalid, "\"" + printable(text.substr(0, 80)) + "\" " + why};
}

/// The labels of a wire name, leftmost first.
struct LabelList {
  std::array<Wire, 128> at;
  std::size_t count = 0;

  explicit LabelList(Wire wire) {
    for (std::size_t i = 0; wire[i] != 0; i += wire[i] + 1u) {
      at[count++] = wire.subspan(i + 1, wire[i]);
    }
  }
  /// The i-th label from the right; 0 is the top-level domain.
  Wire from_right(std::size_t i) const { return at[count - 1 - i]; }
};

bool has_star(Wire label) { return std::ranges::find(label, '*') != label.end(); }
bool is_star(Wire label) { return label.size() == 1 && label[0] == '*'; }
bool all_plain(Wire label) { return std::ranges::all_of(label, is_plain); }

std::size_t star_labels(const DnsName& name) {
  const LabelList list(name.wire());
  return static_cast<std::size_t>(
      std::count_if(list.at.begin(), list.at.begin() + static_cast<std::ptrdiff_t>(list.count), has_star));
}

/// Labels in which "*" may stand anywhere. Runs of "*" become one.
Result<DnsName> labels_with_stars(std::string_view whole, std::string_view text) {
  std::string wire;
  while (true) {
    const std::size_t dot = std::min(text.find('.'), text.size());
    std::string label;
    for (const char c : text.substr(0, dot)) {
      if (c == '*' && label.ends_with('*')) {
        continue;
      }
      if (c != '*' && !is_plain(static_cast<std::uint8_t>(c))) {
        return invalid(whole, "is no pattern: \"" + printable(std::string_view(&c, 1)) +
                                  "\" is no letter, digit, hyphen, underscore, dot or \"*\"");
      }
      label += c;
    }
    if (label.empty()) {
      return invalid(whole, "is no pattern: a label between two dots is empty");
    }
    if (label.size() > kLabelMax) {
      return invalid(whole, "is no pattern: a label is longer than 63 bytes");
    }
    wire += static_cast<char>(label.size()) + label;
    if (dot == text.size()) {
      break;
    }
    text.remove_prefix(dot + 1);
  }
  wire += '\0';
  if (wire.size() > kNameMax) {
    return invalid(whole.substr(0, 40), "... is longer than 253 bytes");
  }
  return DnsName::from_wire({reinterpret_cast<const std::uint8_t*>(wire.data()), wire.size()});
}

/// "*." of the native dialect and of domainNames: one label or more.
struct Head {
  bool below = false;
  DnsName labels;
};

Result<Head> parse_native(std::string_view text) {
  constexpr std::string_view kOneLabel = "*{1}";
  const bool one = text.starts_with(kOneLabel) && (text.size() == kOneLabel.size() || text[kOneLabel.size()] == '.');
  auto name = DnsName::from_text(one ? "*" + std::string(text.substr(kOneLabel.size())) : std::string(text));
  if (!name) {
    return std::move(name).error();
  }
  const bool star = !name->is_root() && is_star(LabelList(name->wire()).at[0]);
  return star && !one ? Head{true, name->parent()} : Head{false, *name};
}

Result<Head> parse_glob(std::string_view text, bool double_star) {
  std::string_view rest = text;
  if (rest.ends_with('.') && rest.size() > 1) {
    rest.remove_suffix(1);
  }
  if (rest.empty()) {
    return Error(Errc::kInvalid, "a pattern is empty");
  }
  if (std::ranges::all_of(rest, [](char c) { return c == '*'; })) {
    return Head{true, DnsName()};
  }
  const bool below = double_star && rest.starts_with("**.");
  auto labels = labels_with_stars(text, below ? rest.substr(3) : rest);
  if (!labels) {
    return std::move(labels).error();
  }
  return Head{below, *labels};
}

Result<Head> parse_domain_name(std::string_view text) {
  const bool below = text.starts_with("*.");
  auto name = DnsName::from_text(below ? text.substr(2) : text);
  if (!name) {
    return std::move(name).error();
  }
  if (has_star(name->wire())) {
    return invalid(text, "has a \"*\" that does not lead: domainNames know \"*.\" in front and nowhere else");
  }
  if (name->label_count() < 2) {
    return invalid(text, std::string("has one label") + (below ? " behind \"*.\"" : "") +
                             ": domainNames need two or more, as in example.com or *.example.com");
  }
  const LabelList list(name->wire());
  for (std::size_t i = 0; i < list.count; ++i) {
    if (list.at[i].front() == '-' || list.at[i].back() == '-' || list.at[i].back() == '_') {
      return invalid(text, "has a label that does not begin and end with a letter or digit");
    }
  }
  return Head{below, *name};
}

}  // namespace

NamePattern::NamePattern(bool below, DnsName labels)
    : below_(below), has_star_(has_star(labels.wire())), labels_(std::move(labels)) {}

Result<NamePattern> NamePattern::parse(std::string_view text, Dialect dialect) {
  auto head = dialect == Dialect::kNative        ? parse_native(text)
              : dialect == Dialect::kDomainNames ? parse_domain_name(text)
                                                 : parse_glob(text, dialect == Dialect::kCilium);
  if (!head) {
    return std::move(head).error();
  }
  if (star_labels(head->labels) > kStarLabelsMax) {
    return invalid(text,
                   "has \"*\" in more than " + std::to_string(kStarLabelsMax) + " labels: name the zone behind them");
  }
  return NamePattern(head->below, std::move(head->labels));
}

Result<NamePattern> NamePattern::from_wire(Wire labels, bool below) {
  auto name = DnsName::from_wire(labels);
  if (!name) {
    return std::move(name).error();
  }
  const LabelList list(name->wire());
  for (std::size_t i = 0; i < list.count; ++i) {
    if (!std::ranges::all_of(list.at[i], [](std::uint8_t byte) { return is_plain(byte) || byte == '*'; })) {
      return Error(Errc::kInvalid, "not a name pattern");
    }
  }
  if (star_labels(*name) > kStarLabelsMax) {
    return Error(Errc::kInvalid, "a name pattern with too many \"*\"");
  }
  return NamePattern(below, std::move(*name));
}

bool NamePattern::has_partial_label() const {
  const LabelList list(labels_.wire());
  return std::any_of(list.at.begin(), list.at.begin() + static_cast<std::ptrdiff_t>(list.count),
                     [](Wire label) { return has_star(label) && !is_star(label); });
}

bool label_matches(Wire glob, Wire label) {
  std::size_t g = 0;
  std::size_t retry_glob = glob.size() + 1;  // none
  std::size_t retry_label = 0;
  for (std::size_t i = 0; i < label.size() || g < glob.size();) {
    if (g < glob.size() && glob[g] == '*') {
      retry_glob = ++g;
      retry_label = i;
    } else if (g < glob.size() && i < label.size() && lower(glob[g]) == lower(label[i])) {
      ++g;
      ++i;
    } else if (retry_glob <= glob.size() && retry_label < label.size()) {
      g = retry_glob;
      i = ++retry_label;
    } else {
      return false;
    }
  }
  return true;
}

bool NamePattern::matches(Wire wire) const {
  const LabelList name(wire);
  const LabelList mine(labels_.wire());
  if (below_ ? name.count <= mine.count : name.count != mine.count) {
    return false;
  }
  for (std::size_t i = 0; i < name.count; ++i) {
    if (!all_plain(name.at[i])) {
      return false;
    }
  }
  for (std::size_t i = 0; i < mine.count; ++i) {
    if (!label_matches(mine.from_right(i), name.from_right(i))) {
      return false;
    }
  }
  return true;
}

bool NamePattern::covers(const NamePattern& other) const {
  const LabelList mine(labels_.wire());
  const LabelList theirs(other.labels_.wire());
  if (below_) {
    if (other.below_ ? theirs.count < mine.count : theirs.count <= mine.count) {
      return false;
    }
  } else if (other.below_ || theirs.count != mine.count) {
    return false;
  }
  for (std::size_t i = 0; i < mine.count; ++i) {
    // A "*" of theirs is one more byte here, which only a "*" of ours takes: so whatever it stands for is taken too.
    if (!label_matches(mine.from_right(i), theirs.from_right(i))) {
      return false;
    }
  }
  return true;
}

std::string NamePattern::text() const {
  if (is_any()) {
    return "*";
  }
  const std::string labels = labels_.text();
  if (below_) {
    return "*." + labels;
  }
  return !labels_.is_root() && is_star(LabelList(labels_.wire()).at[0]) ? "*{1}" + labels.substr(1) : labels;
}

namespace {

enum class LabelJoin { kSame, kNothing, kUnsaid };

/// Can nothing be both? Only what is certain: what stands before the first "*" or behind the last one differs.
bool disjoint(Wire a, Wire b) {
  const auto differs = [](auto a_at, auto a_end, auto b_at, auto b_end) {
    for (; a_at != a_end && b_at != b_end && *a_at != '*' && *b_at != '*'; ++a_at, ++b_at) {
      if (*a_at != *b_at) {
        return true;
      }
    }
    return false;
  };
  return differs(a.begin(), a.end(), b.begin(), b.end()) || differs(a.rbegin(), a.rend(), b.rbegin(), b.rend());
}

LabelJoin join_labels(Wire a, Wire b, Wire& joined) {
  if (label_matches(a, b)) {
    joined = b;
    return LabelJoin::kSame;
  }
  if (label_matches(b, a)) {
    joined = a;
    return LabelJoin::kSame;
  }
  return !has_star(a) || !has_star(b) || disjoint(a, b) ? LabelJoin::kNothing : LabelJoin::kUnsaid;
}

}  // namespace

PatternJoin PatternJoin::of(const NamePattern& a, const NamePattern& b) {
  const LabelList left(a.labels_.wire());
  const LabelList right(b.labels_.wire());
  const bool left_longer = left.count >= right.count;
  const NamePattern& longer = left_longer ? a : b;
  const NamePattern& shorter = left_longer ? b : a;
  const LabelList& many = left_longer ? left : right;
  const LabelList& few = left_longer ? right : left;
  const bool same_count = many.count == few.count;
  if (!same_count && !shorter.below_) {
    return {};
  }
  if (same_count && longer.below_ != shorter.below_) {
    return {};  // one has labels in front, the other none
  }
  std::string wire;
  bool unsaid = false;
  for (std::size_t i = many.count; i-- > 0;) {
    Wire label = many.from_right(i);
    if (i < few.count) {
      const LabelJoin join = join_labels(many.from_right(i), few.from_right(i), label);
      if (join == LabelJoin::kNothing) {
        return {};
      }
      unsaid = unsaid || join == LabelJoin::kUnsaid;
    }
    wire += static_cast<char>(label.size());
    wire.append(reinterpret_cast<const char*>(label.data()), label.size());
  }
  if (unsaid) {
    return {std::nullopt, true};
  }
  wire += '\0';
  auto joined = DnsName::from_wire({reinterpret_cast<const std::uint8_t*>(wire.data()), wire.size()});
  return joined ? PatternJoin{NamePattern(longer.below_, std::move(*joined)), false} : PatternJoin{std::nullopt, true};
}

}  // namespace postern
