// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/wire.h"

#include <algorithm>

namespace postern {
namespace {

constexpr std::uint8_t kPointer = 0xc0;
constexpr int kLabelsMax = 127;

}  // namespace

bool equal_names(Wire a, Wire b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](std::uint8_t x, std::uint8_t y) { return lower(x) == lower(y); });
}

bool is_ancestor(Wire parent, Wire name) {
  if (parent.size() > name.size()) {
    return false;
  }
  const std::size_t cut = name.size() - parent.size();
  std::size_t at = 0;
  while (at < cut) {
    at += name[at] + 1u;
  }
  return at == cut && equal_names(parent, name.subspan(cut));
}

bool WireReader::u16(std::uint16_t& value) {
  if (message_.size() - at_ < 2) {
    return false;
  }
  value = static_cast<std::uint16_t>(message_[at_] << 8 | message_[at_ + 1]);
  at_ += 2;
  return true;
}

bool WireReader::u32(std::uint32_t& value) {
  std::uint16_t high = 0;
  std::uint16_t low = 0;
  if (!u16(high) || !u16(low)) {
    return false;
  }
  value = static_cast<std::uint32_t>(high) << 16 | low;
  return true;
}

bool WireReader::bytes(std::size_t count, Bytes& value) {
  if (message_.size() - at_ < count) {
    return false;
  }
  value = message_.subspan(at_, count);
  at_ += count;
  return true;
}

bool WireReader::plain_name(NameBuffer& name) {
  name.size = 0;
  while (true) {
    std::uint8_t label = 0;
    Bytes text;
    if (!u8(label) || label > kLabelMax || !bytes(label, text) || name.size + label + 1u > kNameMax) {
      return false;
    }
    name.bytes[name.size++] = label;
    std::copy(text.begin(), text.end(), name.bytes.begin() + name.size);
    name.size = static_cast<std::uint8_t>(name.size + label);
    if (label == 0) {
      return true;
    }
  }
}

bool WireReader::name(NameBuffer& name) {
  name.size = 0;
  std::size_t at = at_;
  std::size_t limit = at_;  // a pointer must lead before the piece it stands in
  bool jumped = false;
  for (int labels = 0; labels <= kLabelsMax;) {
    if (at >= message_.size()) {
      return false;
    }
    const std::uint8_t length = message_[at];
    if ((length & kPointer) == kPointer) {
      if (at + 2 > message_.size()) {
        return false;
      }
      const std::size_t target = static_cast<std::size_t>(length & ~kPointer) << 8 | message_[at + 1];
      if (!jumped) {
        at_ = at + 2;
        jumped = true;
      }
      if (target >= limit || target < kHeaderSize) {
        return false;
      }
      at = limit = target;
      continue;
    }
    if (length > kLabelMax || at + 1 + length > message_.size() || name.size + length + 1u > kNameMax) {
      return false;
    }
    std::copy_n(message_.begin() + static_cast<std::ptrdiff_t>(at), length + 1u, name.bytes.begin() + name.size);
    name.size = static_cast<std::uint8_t>(name.size + length + 1);
    at += length + 1u;
    ++labels;
    if (length == 0) {
      if (!jumped) {
        at_ = at;
      }
      return true;
    }
  }
  return false;
}

void WireWriter::u16(std::uint16_t value) {
  const std::array<std::uint8_t, 2> two{static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
  bytes(two);
}

void WireWriter::u32(std::uint32_t value) {
  const std::array<std::uint8_t, 4> four{static_cast<std::uint8_t>(value >> 24), static_cast<std::uint8_t>(value >> 16),
                                         static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
  bytes(four);
}

void WireWriter::bytes(Bytes value) {
  if (!ok_ || room() < value.size()) {
    ok_ = false;
    return;
  }
  std::copy(value.begin(), value.end(), buffer_.begin() + static_cast<std::ptrdiff_t>(at_));
  at_ += value.size();
}

void WireWriter::set_u16(std::size_t at, std::uint16_t value) {
  buffer_[at] = static_cast<std::uint8_t>(value >> 8);
  buffer_[at + 1] = static_cast<std::uint8_t>(value);
}

}  // namespace postern
