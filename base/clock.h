// SPDX-License-Identifier: Apache-2.0
//
// Points in time and the seam through which code asks for them.
//
// Logic takes a time as an argument; what owns a loop takes a Clock. Two clocks are in use:
// CLOCK_BOOTTIME for what the kernel compares (grants), CLOCK_REALTIME for what people read.
#pragma once

#include <time.h>

#include <compare>
#include <cstdint>

namespace postern {

inline constexpr std::uint64_t kNsPerS = 1'000'000'000;
inline constexpr std::uint64_t kNsPerMs = 1'000'000;
inline constexpr std::uint64_t kNsPerUs = 1'000;

/// A point on CLOCK_BOOTTIME, the clock of bpf_ktime_get_boot_ns. Not a duration.
struct BootNs {
  std::uint64_t ns = 0;

  friend constexpr auto operator<=>(BootNs, BootNs) = default;
  friend constexpr BootNs operator+(BootNs time, std::uint64_t duration_ns) { return {time.ns + duration_ns}; }
  /// Nanoseconds from `earlier` to `later`; 0 when it is not earlier.
  friend constexpr std::uint64_t operator-(BootNs later, BootNs earlier) {
    return later.ns > earlier.ns ? later.ns - earlier.ns : 0;
  }
};

class Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;
  virtual BootNs now() const = 0;
};

inline std::uint64_t clock_ns(clockid_t id) {
  timespec ts{};
  ::clock_gettime(id, &ts);
  return static_cast<std::uint64_t>(ts.tv_sec) * kNsPerS + static_cast<std::uint64_t>(ts.tv_nsec);
}

class SystemClock final : public Clock {
 public:
  BootNs now() const override { return {clock_ns(CLOCK_BOOTTIME)}; }
};

/// What to add to a BootNs for nanoseconds since 1970. Changes when the wall clock is set.
inline std::int64_t boot_to_unix_ns() {
  return static_cast<std::int64_t>(clock_ns(CLOCK_REALTIME)) - static_cast<std::int64_t>(clock_ns(CLOCK_BOOTTIME));
}

}  // namespace postern
