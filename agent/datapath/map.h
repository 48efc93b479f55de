// SPDX-License-Identifier: Apache-2.0
//
// Map<K, V>: a BPF map with the key and value of bpf/layout.h, over a descriptor it owns.
//
// Adopting a descriptor compares its sizes with the kernel's word for them: a map of another layout
// is refused, never misread. Not for per-CPU maps. Each operation is one bpf(2) call; a walk is one
// for some hundred entries.
#pragma once

#include <bpf/bpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace postern {

/// Compares the kernel's sizes of a map with what the code expects.
Result<> check_map_sizes(int fd, std::size_t key_bytes, std::size_t value_bytes, std::string_view name);

template <typename K, typename V>
class Map {
  static_assert(std::has_unique_object_representations_v<K>, "a key with holes would compare by its holes");
  static_assert(std::is_trivially_copyable_v<V>);

 public:
  Map() = default;

  /// @return invalid: the map has another layout.
  static Result<Map> adopt(Fd fd, std::string_view name) {
    POSTERN_RETURN_IF_ERROR(check_map_sizes(fd.get(), sizeof(K), sizeof(V), name));
    return Map(std::move(fd));
  }

  int fd() const { return fd_.get(); }
  Result<Fd> duplicate() const { return fd_.duplicate(); }

  Result<std::optional<V>> lookup(const K& key) const {
    V value{};
    if (::bpf_map_lookup_elem(fd_.get(), &key, &value) == 0) {
      return std::optional<V>(value);
    }
    if (errno == ENOENT) {
      return std::optional<V>();
    }
    return Error::from_errno("reading a map", errno);
  }

  /// Adds or replaces. @return full.
  Result<> update(const K& key, const V& value) const { return write(key, value, BPF_ANY); }
  /// Adds. @return exists; full.
  Result<> insert(const K& key, const V& value) const { return write(key, value, BPF_NOEXIST); }

  /// Whether it was there or not.
  Result<> erase(const K& key) const {
    if (::bpf_map_delete_elem(fd_.get(), &key) != 0 && errno != ENOENT) {
      return Error::from_errno("erasing from a map", errno);
    }
    return {};
  }

  /// Takes an entry out, in one step with reading it. @return none: it was not there.
  Result<std::optional<V>> take(const K& key) const {
    V value{};
    if (::bpf_map_lookup_and_delete_elem(fd_.get(), &key, &value) == 0) {
      return std::optional<V>(value);
    }
    if (errno == ENOENT) {
      return std::optional<V>();
    }
    return Error::from_errno("taking an entry out of a map", errno);
  }

  /// Calls `each(key, value)`, which returns Result<>, for every entry; it may erase entries. Those
  /// that come or go meanwhile may be seen or not. Goes by the kernel's batches and not from key to
  /// key: when the key of the last step was erased by others, that walk would begin anew, without end.
  template <typename Each>
  Result<> for_each(const Each& each) const {
    std::vector<K> keys(kBatch);
    std::vector<V> values(kBatch);
    std::array<std::byte, std::max(sizeof(K), sizeof(std::uint32_t))>
        place{};  // the kernel's: a bucket's number or a key
    bool begun = false;
    for (;;) {
      auto count = static_cast<std::uint32_t>(keys.size());
      const int got = ::bpf_map_lookup_batch(fd_.get(), begun ? place.data() : nullptr, place.data(), keys.data(),
                                             values.data(), &count, nullptr);
      const int failed = got == 0 ? 0 : errno;
      if (failed == ENOSPC) {  // one bucket holds more than a batch
        keys.resize(keys.size() * 2);
        values.resize(keys.size());
        continue;
      }
      if (failed != 0 && failed != ENOENT) {
        return Error::from_errno("walking a map", failed);
      }
      for (std::uint32_t i = 0; i < count; ++i) {
        POSTERN_RETURN_IF_ERROR(each(std::as_const(keys[i]), std::as_const(values[i])));
      }
      if (failed == ENOENT) {
        return {};
      }
      begun = true;
    }
  }

 private:
  static constexpr std::size_t kBatch = 512;

  explicit Map(Fd fd) : fd_(std::move(fd)) {}

  Result<> write(const K& key, const V& value, std::uint64_t flags) const {
    if (::bpf_map_update_elem(fd_.get(), &key, &value, flags) != 0) {
      return Error::from_errno("writing to a map", errno);
    }
    return {};
  }

  Fd fd_;
};

}  // namespace postern
