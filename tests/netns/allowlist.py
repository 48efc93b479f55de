#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""postern allowlist, where it asks name servers: lint --resolve and render --to netpol --resolve. No daemon runs."""
import os
import pty
import re
import subprocess
import sys
import time

from harness import case, equal, main, true
from lab.gate import default_bin

MANY = 600
ZONE = """
www.kept.example. 60 A 93.184.216.34
www.kept.example. 60 AAAA 2606:2800:220::34
mail.kept.example. 60 MX 10 www.kept.example.
inside.kept.example. 60 A 10.1.2.3
inside.kept.example. 60 A 93.184.216.35
alias.kept.example. 60 CNAME www.kept.example.
""" + "".join(f"n{i}.many.example. 60 A 93.184.{i // 250}.{i % 250 + 1}\n" for i in range(MANY))
HEAD = "apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: agent, namespace: shop}\nspec:\n" \
       "  selector: {matchLabels: {app: agent}}\n"


def prepare(lab):
    return None


def policy(lab, spec):
    path = os.path.join(lab.folder, "agent.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD + spec)
    return path


def allowlist(lab, *words, server="8.8.8.8"):
    return lab.node.run([os.path.join(default_bin(), "postern"), "allowlist", *words, "--server", server], check=False)


@case("lint --resolve tells names that are gone from those without an address; an alias is followed")
def gone(lab, _gate):
    path = policy(lab, "  allow:\n  - names: [www.kept.example, alias.kept.example]\n"
                       "  - names: [mail.kept.example, old.kept.example, \"*.kept.example\"]\n    ports: [80]\n")
    found = allowlist(lab, "lint", path, "--resolve")
    equal(found.status, 1, "exit status: " + found.err)
    lines = [line for line in found.out.splitlines() if ": unresolved: " in line]
    equal(len(lines), 2, found.out)
    true(f'{path}:8:13: unresolved: policy shop/agent: "mail.kept.example" has no address' in lines[0], lines[0])
    true('"old.kept.example" does not exist any more: remove it' in lines[1], lines[1])
    equal(found.err, "", "nothing on stderr where it is no terminal")


@case("lint --resolve asks for many names at once and shows how far it is on a terminal")
def many(lab, _gate):
    path = policy(lab, "  allow:\n  - names: [" + ", ".join(f"n{i}.many.example" for i in range(MANY)) + "]\n")
    outer, inner = pty.openpty()
    began = time.monotonic()
    argv = [os.path.join(default_bin(), "postern"), "allowlist", "lint", path, "--resolve", "--server", "8.8.8.8"]
    process = subprocess.Popen(lab.node.wrap(argv), stderr=inner, stdout=subprocess.PIPE, text=True)
    os.close(inner)
    shown = b""
    while True:
        try:
            shown += os.read(outer, 65536)
        except OSError:  # the other end is closed
            break
    out = process.stdout.read()
    equal(process.wait(), 0, out)
    os.close(outer)
    steps = [int(step) for step in re.findall(rf"\rlooked up (\d+) of {MANY}".encode(), shown)]
    equal(steps[-1], MANY, "the last step")
    true(f"{MANY} hosts looked up: nothing found" in out, out)
    return f"{MANY} names in {time.monotonic() - began:.2f} s"


@case("a name server that does not answer is no proof that a name is gone")
def silence(lab, _gate):
    path = policy(lab, "  allow: [{names: [www.kept.example]}]\n")
    found = allowlist(lab, "lint", path, "--resolve", server="93.184.216.99:5399")
    true('"www.kept.example" could not be looked up' in found.out, found.out)
    wrong = allowlist(lab, "lint", path, "--resolve", server="nobody")
    equal(wrong.status, 2, wrong.err)
    true("--server" in wrong.err, wrong.err)


@case("render --to netpol --resolve writes the addresses of the day, private ones only where the policy wants them")
def addresses(lab, _gate):
    spec = "  allow: [{names: [www.kept.example, inside.kept.example, \"*.kept.example\", old.kept.example]}]\n"
    found = allowlist(lab, "render", policy(lab, spec), "--to", "netpol", "--resolve")
    equal(found.status, 3, found.err)
    for line in ("- cidr: 93.184.216.34/32", '- cidr: "2606:2800:220::34/128"', "- cidr: 93.184.216.35/32"):
        true(re.search(rf"^ +(- ipBlock:\n +)?{re.escape(line[2:])}", found.out, re.M), f"{line} in\n{found.out}")
    true("10.1.2.3" not in found.out, "a private address")
    true(time.strftime("%Y-%m-%d", time.gmtime()) in found.out, "the day")
    true("loss: agent: *.kept.example: " in found.err and "loss: agent: old.kept.example: " in found.err, found.err)
    found = allowlist(lab, "render", policy(lab, spec + "  dns: {private: [10.1.0.0/16]}\n"), "--to", "netpol", "--resolve")
    true("10.1.2.3/32" in found.out, found.out)


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE, web=False))
