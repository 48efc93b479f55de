// SPDX-License-Identifier: Apache-2.0
//
// Reading and writing DNS wire format (RFC 1035 4.1) within bounds.
//
// WireReader never reads outside its message and never allocates from a count in a header.
// WireWriter fills a buffer of its caller and refuses, whole record by whole record, what does not
// fit. Both are what every hostile byte goes through, so they do nothing else.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "policies/dns_name.h"

namespace postern {

using Bytes = std::span<const std::uint8_t>;

// RFC 1035 3.2.2 and later registrations.
inline constexpr std::uint16_t kTypeA = 1;
inline constexpr std::uint16_t kTypeCname = 5;
inline constexpr std::uint16_t kTypeSoa = 6;
inline constexpr std::uint16_t kTypePtr = 12;
inline constexpr std::uint16_t kTypeHinfo = 13;
inline constexpr std::uint16_t kTypeAaaa = 28;
inline constexpr std::uint16_t kTypeOpt = 41;
inline constexpr std::uint16_t kTypeRrsig = 46;
inline constexpr std::uint16_t kTypeNsec = 47;
inline constexpr std::uint16_t kTypeNsec3 = 50;
inline constexpr std::uint16_t kTypeAny = 255;
inline constexpr std::uint16_t kClassIn = 1;

inline constexpr std::uint8_t kOpcodeQuery = 0;

inline constexpr std::uint8_t kRcodeNoError = 0;
inline constexpr std::uint8_t kRcodeFormErr = 1;
inline constexpr std::uint8_t kRcodeServFail = 2;
inline constexpr std::uint8_t kRcodeNxDomain = 3;
inline constexpr std::uint8_t kRcodeNotImp = 4;
inline constexpr std::uint8_t kRcodeBadVers = 16;  // extended, RFC 6891 9

inline constexpr std::uint16_t kFlagQr = 0x8000;
inline constexpr std::uint16_t kFlagTc = 0x0200;
inline constexpr std::uint16_t kFlagRd = 0x0100;
inline constexpr std::uint16_t kFlagRa = 0x0080;
inline constexpr std::uint16_t kFlagAd = 0x0020;
inline constexpr std::uint16_t kFlagCd = 0x0010;
inline constexpr std::uint16_t kFlagDo = 0x8000;  // in the OPT record's flags, RFC 3225

inline constexpr std::size_t kHeaderSize = 12;
inline constexpr std::size_t kUdpPayload = 1232;  // no fragments on common paths, RFC 9715 3
inline constexpr std::size_t kUdpPlainPayload = 512;
inline constexpr std::size_t kMessageMax = 65535;

/// A name on its way through: wire labels in a fixed buffer.
struct NameBuffer {
  std::array<std::uint8_t, kNameMax> bytes{};
  std::uint8_t size = 0;

  Wire wire() const { return {bytes.data(), size}; }
};

bool equal_names(Wire a, Wire b);          ///< Without regard to ASCII case (RFC 4343).
bool is_ancestor(Wire parent, Wire name);  ///< Or equal.

class WireReader {
 public:
  explicit WireReader(Bytes message, std::size_t at = 0) : message_(message), at_(at) {}

  std::size_t position() const { return at_; }
  bool at_end() const { return at_ == message_.size(); }
  bool u8(std::uint8_t& value) {
    if (at_ >= message_.size()) {
      return false;
    }
    value = message_[at_++];
    return true;
  }
  bool u16(std::uint16_t& value);
  bool u32(std::uint32_t& value);
  bool bytes(std::size_t count, Bytes& value);
  /// A name as it stands; a compression pointer is an error.
  bool plain_name(NameBuffer& name);
  /// A name that may be compressed (RFC 1035 4.1.4). Pointers must go strictly backwards, so that
  /// they end, and not into the header.
  bool name(NameBuffer& name);

 private:
  Bytes message_;
  std::size_t at_ = 0;
};

class WireWriter {
 public:
  explicit WireWriter(std::span<std::uint8_t> buffer) : buffer_(buffer) {}

  std::size_t size() const { return at_; }
  Bytes message() const { return {buffer_.data(), at_}; }
  std::size_t room() const { return buffer_.size() - at_; }
  /// False once something did not fit; what was written before it is whole.
  bool ok() const { return ok_; }
  /// Back to an earlier size, and to ok.
  void rewind(std::size_t size) {
    at_ = size;
    ok_ = true;
  }

  void u8(std::uint8_t value) { bytes({&value, 1}); }
  void u16(std::uint16_t value);
  void u32(std::uint32_t value);
  void bytes(Bytes value);
  void set_u16(std::size_t at, std::uint16_t value);

 private:
  std::span<std::uint8_t> buffer_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace postern
