// SPDX-License-Identifier: Apache-2.0
//
// `postern-setup prepare`: what a node needs before the containers of a pod can run as nobody in particular.
//
// A daemon that starts as root makes its socket in /run/postern and then drops to its user. In a container it
// starts as that user, and is given a folder of its own; links keep the sockets at their usual places. The
// seccomp profiles go where the kubelet looks for them. And the node is looked at: what is missing is said here,
// in the log of the first container, and not by a program that fails later. Takes CAP_CHOWN; mounts nothing.
#pragma once

#include <string>

#include "base/result.h"
#include "base/users.h"

namespace postern {

struct PrepareOptions {
  std::string run_dir = "/run/postern";
  std::string bpf_dir = "/sys/fs/bpf";
  std::string dns_user = "postern-dns";
  std::string observer_user = "postern-observer";
  std::string profiles_from = "/usr/share/postern/seccomp";
  std::string profiles_to;  ///< Empty: none are installed.
};

/// Again does nothing. @return unsupported: the node lacks something; not found: a user or the profiles.
Result<> prepare_node(const PrepareOptions& options);

}  // namespace postern
