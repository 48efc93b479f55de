#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A policy of 3,000 names, which no single datagram to the workers holds: loaded, changed, and alive after deaths."""
import os
import sys
import time

from harness import case, equal, main, true, wait_until
from lab import ask

NAMES = 3000
PICKED = {0: "93.184.216.40", NAMES // 2: "93.184.216.41", NAMES - 1: "93.184.216.42"}


def name_of(number):
    return f"host-{number:04}.service.allowed.example"


ZONE = "".join(f"{name_of(number)}. 600 A {address}\n" for number, address in PICKED.items()) + """
other.service.allowed.example. 600 A 93.184.216.50
"""


def policy(numbers, ports="80"):
    return "allow:\n- names:\n" + "".join(f"  - {name_of(number)}\n" for number in numbers) + f"  ports: [{ports}]\n"


ALL = policy(range(NAMES))
WITHOUT_LAST = policy(range(NAMES - 1))


def prepare(lab):
    gate = lab.gate({"agent": ALL}).start()
    gate.attach(lab.sandbox, "agent")
    return gate


def timed_reload(gate, spec):
    gate.write_policy("agent", spec)
    began = time.monotonic()
    gate.reload()
    return (time.monotonic() - began) * 1000


def resolves(lab, number):
    answer = ask(lab.sandbox.ns, "8.8.8.8", name_of(number), timeout=0.2)
    return answer and answer.addresses == [PICKED[number]]


def works(lab):
    for number, address in PICKED.items():
        wait_until(lambda n=number: resolves(lab, n), f"an answer for {name_of(number)}")
        equal(lab.sandbox.connect(address, 80), "ok", name_of(number))
    equal(ask(lab.sandbox.ns, "8.8.8.8", "other.service.allowed.example").addresses, [], "a name that is not in it")
    equal(lab.sandbox.connect("93.184.216.50", 80, timeout=0.2), "ETIMEDOUT", "its address")


@case(f"{NAMES} names in one policy: the first, the middle and the last resolve and connect, another does not")
def loads(lab, gate):
    works(lab)
    equal(gate.status()["policies"][0]["rules"], NAMES, "rules")
    explained = gate.cli("explain", lab.sandbox.host_if, name_of(NAMES - 1) + ":80").out
    true(explained.startswith("ALLOWED:"), explained)
    size = os.path.getsize(os.path.join(gate.policy_dir, "agent.yaml"))
    return f"a file of {size // 1024} KiB"


@case("one name less, then the same again: what closed is closed and what stayed works when reload returns")
def changes(lab, gate):
    times = []
    for _ in range(3):
        times.append(timed_reload(gate, WITHOUT_LAST))
        equal(lab.sandbox.connect(PICKED[NAMES - 1], 80, timeout=0.2), "ETIMEDOUT", "the removed name")
        equal(ask(lab.sandbox.ns, "8.8.8.8", name_of(NAMES - 1)).addresses, [], "its lookup")
        equal(lab.sandbox.connect(PICKED[0], 80), "ok", "a kept name, without another lookup")
        times.append(timed_reload(gate, ALL))
        equal(lab.sandbox.connect(PICKED[NAMES - 1], 80), "ok", "given back, without another lookup")
    unchanged = timed_reload(gate, ALL)
    return f"reload {min(times):.0f} to {max(times):.0f} ms, {unchanged:.0f} ms when nothing changed"


@case("workers that start later get all of it, from the keeper and from posternd; a posternd that starts again has it")
def deaths(lab, gate):
    keeper = gate.daemons["postern-dns"].pid
    with open(f"/proc/{keeper}/task/{keeper}/children", encoding="ascii") as file:
        for worker in file.read().split():
            os.kill(int(worker), 9)
    works(lab)
    gate.daemons["postern-dns"].kill()
    gate.start_dns()
    works(lab)
    gate.daemons["posternd"].kill()
    gate.start_posternd()
    works(lab)


@case("a name that more than 4 rules match: refused with the place and the mend, nothing changed")
def too_many_rules(lab, gate):
    generation = gate.status()["generation"]
    rules = "".join(f"- {{names: [{name_of(0)}], ports: [{port}]}}\n" for port in range(80, 85))
    path = gate.write_policy("agent", "allow:\n" + rules)
    result = gate.reload(check=False)
    true(result.status not in (0, None), f"reload: {result}")
    said = result.err.strip().splitlines()[-1]
    true(said.startswith(f"{path}:6:") or f"{path}:6:" in said, f"file and line: {said!r}")
    for words in ("more than 4 rules match " + name_of(0), "join"):
        true(words in said, f"{words!r} is not in {said!r}")
    equal(gate.status()["generation"], generation, "generation")
    works(lab)
    gate.write_policy("agent", f"allow: [{{names: [{name_of(0)}], ports: [80-84]}}]")  # as it says
    gate.reload()
    equal(gate.status()["policies"][0]["rules"], 1, "rules")
    return said.split(": ", 1)[-1]


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE))
