# SPDX-License-Identifier: Apache-2.0
"""Small C programs (clients/*.c), built when a test needs them, against glibc or musl."""
import os

from .commands import run

SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients")
COMPILERS = {"glibc": ["gcc"], "musl": ["musl-gcc", "-static"]}


def build(lab, name, libc="glibc", libs=()):
    """Returns the path of the program, in the lab's folder."""
    program = os.path.join(lab.folder, f"{name}-{libc}")
    if not os.path.exists(program):
        run([*COMPILERS[libc], "-std=gnu11", "-O2", "-Wall", "-Werror", "-o", program, os.path.join(SOURCES, name + ".c"),
             *(f"-l{lib}" for lib in libs)])
    return program
