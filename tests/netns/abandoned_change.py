#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A change that fails on its way uses its generation up.

Workers stamp grants with the next generation from the moment they hear of it. When one of them does not
answer and the change is abandoned, the change after it must not pass those grants for its own.
"""
import glob
import os
import re
import signal
import sys
import threading
import time

from harness import case, equal, main, true
from lab import ask

ZONE = """
kept.allowed.example. 600 A 93.184.216.34
moving.allowed.example. 600 A 93.184.216.40
"""
KEPT = "allow: [{names: [kept.allowed.example], ports: [80]}]"
BOTH = "allow: [{names: [kept.allowed.example, moving.allowed.example], ports: [80]}]"
THREE = "allow: [{names: [kept.allowed.example, moving.allowed.example, z.example], ports: [80]}]"
MOVING = "93.184.216.40"


def prepare(lab):
    gate = lab.gate({"agent": BOTH}).start()
    gate.attach(lab.sandbox, "agent")
    return gate


def worker_pids(lab):
    text = ""
    for path in glob.glob(lab.folder + "/*.log"):
        with open(path, errors="replace", encoding="utf-8") as file:
            text += file.read()
    return {int(number): int(pid) for number, pid in re.findall(r"worker (\d+) runs as process (\d+)", text)}


@case("what a failed change granted is unreachable once a later change removed it")
def abandoned(lab, gate):
    other = worker_pids(lab)[0]  # sandbox 1 is worker 1's
    outcome = {}
    os.kill(other, signal.SIGSTOP)
    try:
        gate.write_policy("agent", THREE)
        reload = threading.Thread(target=lambda: outcome.update(done=gate.reload(check=False)))
        reload.start()
        time.sleep(1)
        true(ask(lab.sandbox.ns, "8.8.8.8", "moving.allowed.example").addresses, "the lookup during the change")
        reload.join()
        time.sleep(7)  # the folder's watcher tries the same change once more
    finally:
        os.kill(other, signal.SIGCONT)
    true(outcome["done"].status != 0, "the change without a worker fails")
    time.sleep(0.5)
    gate.write_policy("agent", KEPT)
    gate.reload()
    equal(ask(lab.sandbox.ns, "8.8.8.8", "moving.allowed.example").addresses, [], "the lookup after it")
    true(lab.sandbox.connect(MOVING, 80, timeout=0.5) != "ok", "no connection to what was removed")


sys.exit(main(prepare, zone=ZONE))
