// SPDX-License-Identifier: Apache-2.0
//
// Skeleton<T>: the one owner of a generated libbpf skeleton. Destroys it once.
#pragma once

#include <memory>

namespace postern {

template <typename T>
struct SkeletonDeleter {
  void operator()(T* skeleton) const { T::destroy(skeleton); }
};

template <typename T>
using Skeleton = std::unique_ptr<T, SkeletonDeleter<T>>;

}  // namespace postern
