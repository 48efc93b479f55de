// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/keyed_hash.h"

#include <sys/random.h>

#include <bit>
#include <cstdlib>

namespace postern {
namespace {

struct SipState {
  std::uint64_t v0, v1, v2, v3;

  void rounds(int count) {
    for (int i = 0; i < count; ++i) {
      v0 += v1;
      v1 = std::rotl(v1, 13) ^ v0;
      v0 = std::rotl(v0, 32);
      v2 += v3;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
  }
  void take(std::uint64_t word) {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
};

/// Up to eight bytes, little endian.
std::uint64_t word_of(std::string_view bytes) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    word |= std::uint64_t{static_cast<std::uint8_t>(bytes[i])} << (8 * i);
  }
  return word;
}

std::array<std::uint64_t, 2> random_key() {
  std::array<std::uint64_t, 2> key;
  if (::getrandom(key.data(), sizeof(key), 0) != static_cast<ssize_t>(sizeof(key))) {
    std::abort();  // cannot happen at this size; a known key is worse than no process
  }
  return key;
}

}  // namespace

std::uint64_t sip_hash(const std::array<std::uint64_t, 2>& key, std::string_view bytes) {
  SipState state{key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du, key[0] ^ 0x6c7967656e657261u,
                 key[1] ^ 0x7465646279746573u};
  std::string_view rest = bytes;
  for (; rest.size() >= 8; rest.remove_prefix(8)) {
    state.take(word_of(rest.substr(0, 8)));
  }
  state.take(word_of(rest) | std::uint64_t{bytes.size()} << 56);
  state.v2 ^= 0xff;
  state.rounds(4);
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

std::size_t KeyedHash::operator()(std::string_view bytes) const noexcept {
  static const std::array<std::uint64_t, 2> key = random_key();
  return sip_hash(key, bytes);
}

}  // namespace postern
