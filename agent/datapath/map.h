// SPDX-License-Identifier: Apache-2.0
//
// Map<K, V>: a BPF map with the key and value of bpf/layout.h, over a descriptor it owns.
//
// Adopting a descriptor compares its sizes with the kernel's word for them: a map of another layout
// is refused, never misread. Not for per-CPU maps. Each operation is one bpf(2) call.
#pragma once

#include <bpf/bpf.h>

#include <cerrno>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

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

  /// Calls `each(key, value)`, which returns Result<>, for every entry. Entries that change meanwhile
  /// may be seen or not; the callback must not erase (collect the keys, and erase them afterwards).
  template <typename Each>
  Result<> for_each(const Each& each) const {
    K key{};
    K next{};
    for (const K* after = nullptr; ::bpf_map_get_next_key(fd_.get(), after, &next) == 0; after = &key) {
      key = next;
      auto value = lookup(key);
      if (!value) {
        return std::move(value).error();
      }
      if (*value) {
        POSTERN_RETURN_IF_ERROR(each(key, **value));
      }
    }
    if (errno != ENOENT) {
      return Error::from_errno("walking a map", errno);
    }
    return {};
  }

 private:
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
