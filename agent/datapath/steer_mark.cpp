// SPDX-License-Identifier: Apache-2.0
#include "agent/datapath/steer_mark.h"

#include <bpf/libbpf.h>

#include <cerrno>

#include "agent/datapath/attachment.h"
#include "agent/datapath/skeleton.h"
#include "steering.skel.h"

namespace postern {

Result<> attach_steer_mark(std::uint32_t ifindex) {
  const Skeleton<::steering> programs(::steering::open_and_load());
  if (!programs) {
    return Error::from_errno("loading the program of the steering link", errno);
  }
  return Attachments("", AttachKind::kClsact)
      .attach(bpf_program__fd(programs->progs.steer_mark), ifindex, Hook::kIngress);
}

}  // namespace postern
