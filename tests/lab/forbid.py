# SPDX-License-Identifier: Apache-2.0
"""Runs a program under a seccomp filter that forbids one system call with an errno, as a container runtime's does.

Usage: forbid.py CALL ERRNO PROGRAM [ARGUMENT...]. The filter stays for the program and all that it starts.
"""
import ctypes
import errno
import os
import sys

ALLOW, ERRNO = 0x7FFF0000, 0x00050000  # SCMP_ACT_ALLOW and SCMP_ACT_ERRNO(0) of seccomp.h


def forbid(call, number):
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(ALLOW)))
    resolved = library.seccomp_syscall_resolve_name(call.encode())
    failed = library.seccomp_rule_add_array(context, ctypes.c_uint32(ERRNO | number), resolved, 0, None) or library.seccomp_load(context)
    if resolved < 0 or failed:
        sys.exit(f"forbid.py: {call}: no filter: {failed}")


if __name__ == "__main__":
    forbid(sys.argv[1], getattr(errno, sys.argv[2]))
    os.execvp(sys.argv[3], sys.argv[3:])
