#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Completion in bash asks posternd for the names of sandboxes and policies, and executes none of them."""
import os
import sys

from harness import case, equal, main

POLICIES = {"agent": "allow: []", "build-bot": "allow: []"}
ODD = "$(id>x)"  # an interface may be called so


def prepare(lab):
    lab.node.ip("link", "set", lab.sandboxes[1].host_if, "name", ODD)
    lab.sandboxes[1].host_if = ODD
    gate = lab.gate(POLICIES).start()
    gate.attach(lab.sandboxes[0], "agent")
    gate.attach(lab.sandboxes[1], "build-bot")
    return gate


def complete(lab, gate, *words):
    script = os.path.join(os.path.dirname(gate.bin), "docs", "bash", "postern")
    code = 'source "$1"; cd "$2"; shift 2; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _postern; ' \
           'printf "%s\\n" "${COMPREPLY[@]}"'
    path = gate.bin + ":" + os.environ["PATH"]
    out = lab.node.run(["bash", "--norc", "-c", code, "bash", script, lab.folder, "postern", *words],
                       env={"PATH": path, "POSTERN_CONTROL": gate.control}).out
    return sorted(out.split())


@case("sandboxes and policies are offered by name, by their beginning too")
def names(lab, gate):
    equal(complete(lab, gate, "sandbox", "detach", ""), [lab.sandboxes[0].host_if], "sandboxes")
    equal(complete(lab, gate, "explain", "zz"), [], "sandboxes that begin with zz")
    equal(complete(lab, gate, "sandbox", "attach", "--policy", ""), ["agent", "build-bot"], "policies")
    equal(complete(lab, gate, "sandbox", "attach", "--policy", "bu"), ["build-bot"], "policies that begin with bu")


@case("a name that a shell would execute is neither executed nor offered")
def odd(lab, gate):
    complete(lab, gate, "sandbox", "detach", "")
    complete(lab, gate, "sandbox", "attach", "--interface", "")
    equal(os.path.exists(os.path.join(lab.folder, "x")), False, "the file that the name would write")


if __name__ == "__main__":
    sys.exit(main(prepare, sandboxes=2))
