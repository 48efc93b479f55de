#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Order is a contract: an answer leaves after its grant is in the kernel, so the first SYN after it is never lost.

Clients in four sandboxes (so that both DNS workers take part) resolve a name that was never asked before and
connect in the next system call. Every try needs a grant that is not there yet: grants here last a second,
and an address comes back only after tens of thousands of others.
"""
import os
import re
import subprocess
import sys
import time

from harness import case, equal, main, true
from lab import clients

TRIES = int(os.environ.get("POSTERN_TRIES", "100000"))
CLIENTS = 4  # one a sandbox: a sandbox holds at most 8192 grants at once
ADDRESSES = 60000  # of 93.184.0.0/16
ZONE = "\n".join(f"h{n}.storm.example. 1 A 93.184.{n % ADDRESSES // 250}.{n % 250 + 1}" for n in range(TRIES))
POLICY = 'allow: [{names: ["*.storm.example"], ports: [80]}]\ndns: {grace_s: 0}'


def prepare(lab):
    gate = lab.gate({"agent": POLICY}, config={"dns": {"grant_s_min": 1}}, log_level="warn").start()
    for sandbox in lab.sandboxes:
        gate.attach(sandbox, "agent")
        equal(sandbox.connect("93.184.0.1", 80, timeout=0.3), "ETIMEDOUT", "the first address before its lookup")
    return gate


def retransmitted(sandbox):
    """TCP segments that this sandbox's kernel sent again; a lost first SYN is one."""
    with sandbox.ns.inside(), open("/proc/thread-self/net/snmp", encoding="ascii") as file:
        names, values = (line.split() for line in file if line.startswith("Tcp:"))
    return int(values[names.index("RetransSegs")])


@case(f"{TRIES} lookups, each followed at once by a connect: no SYN was lost, no lookup and no connect failed")
def storm(lab, gate):
    program = clients.build(lab, "first_syn")
    before = [retransmitted(sandbox) for sandbox in lab.sandboxes]
    began = time.monotonic()
    running = []
    for number in range(CLIENTS):
        share = TRIES // CLIENTS
        sandbox = lab.sandboxes[number % len(lab.sandboxes)]
        running.append(subprocess.Popen(sandbox.ns.wrap([program, "8.8.8.8", "h%u.storm.example", str(number * share), str(share), "80"]),
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True))
        lab.undo.add(running[-1].kill)
    total = slowest = 0
    for client in running:
        out, err = client.communicate(timeout=200)
        counts = re.match(r"tries (\d+) lost (\d+) failed (\d+) max_us (\d+)", out)
        true(counts, f"a client ended without a result: {out} {err[-300:]}")
        tries, lost, failed, longest = map(int, counts.groups())
        equal((lost, failed), (0, 0), f"lost and failed of {tries}: {err[-300:]}")
        total += tries
        slowest = max(slowest, longest)
    took = time.monotonic() - began
    equal(total, TRIES // CLIENTS * CLIENTS, "tries")
    equal([retransmitted(sandbox) for sandbox in lab.sandboxes], before, "retransmitted segments")
    return f"{total / took:.0f} tries a second, slowest connect {slowest} us"


@case("the grants ended: the same addresses are closed again")
def closed_again(lab, _gate):
    time.sleep(1.2)
    for sandbox in lab.sandboxes:
        for address in ("93.184.0.1", f"93.184.{(TRIES - 1) % ADDRESSES // 250}.{(TRIES - 1) % 250 + 1}"):
            equal(sandbox.connect(address, 80, timeout=0.3), "ETIMEDOUT", address)


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE, sandboxes=4, web_names=["storm.example"]))
