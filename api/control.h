// SPDX-License-Identifier: Apache-2.0
//
// What goes over /run/postern/control.sock, posternd's only socket: commands of the command line,
// and the feed of the observer. Framing is base/channel.h's; bodies are the .proto files beside this.
#pragma once

#include <cstdint>

namespace postern {

/// Message.type on control.sock.
enum class ControlMessage : std::uint32_t {
  kRequest = 1,         ///< Body: ControlRequest. One at a time a connection. Root only.
  kReply = 2,           ///< Body: ControlReply.
  kHelloObserver = 3,   ///< From postern-observer; no body. Root or the observer's user.
  kObserverMaps = 4,    ///< To it, once: kObserverMapCount read-only map descriptors, in ObserverMap order.
  kObserverUpdate = 5,  ///< To it: ObserverUpdate. All that is there first, then each change.
};

/// Places of the descriptors in kObserverMaps. The event ring alone is writable: its consumer
/// position is memory of the reader.
enum class ObserverMap : std::uint32_t { kEvents = 0, kCounters = 1, kSandboxState = 2, kNames = 3 };
inline constexpr std::uint32_t kObserverMapCount = 4;

}  // namespace postern
