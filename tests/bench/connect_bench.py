# SPDX-License-Identifier: Apache-2.0
"""bench connect: what the gate costs a connection, in interleaved pairs with and without it.

One sandbox, one path. Each round measures it three times, back to back: with the gate and twice without, in
an order that alternates from round to round. gate / no_gate is the ratio; no_gate / no_gate is the A/A
ratio, whose spread says how small a difference this machine can show at all.
"""
import json
import os
import subprocess
import sys

from lab import Lab, ask, wait_until
from tools import SERVER_CPU, Table, children_of, iperf, pin, rss_mib, spread, wrk

NAME, ADDRESS = "bench.allowed.example", "93.184.216.34"
ZONE = f"{NAME}. 3600 A {ADDRESS}\n"
POLICY = f"allow: [{{names: [{NAME}], ports: [8080, 5201]}}]"
SERVERS = """
  server {
    listen 8080 backlog=8192; keepalive_timeout 0;
    location / { return 200 "ok"; }
  }
"""
BOUND = 0.96
# "gate" and "first" are a pair, "first" and "second" the pair of A/A; who comes first alternates.
ORDERS = (("gate", "first", "second"), ("second", "first", "gate"))


class Setup:
    def __init__(self, lab):
        self.lab = lab
        self.gate = lab.gate({"bench": POLICY}, observer=True, log_level="warn").start()
        self.on = False
        iperf_server = lab.internet.ns.daemon("iperf3", ["iperf3", "-s", "-A", str(SERVER_CPU)])
        lab.undo.add(iperf_server.stop)
        pin(lab.internet.web.pid)
        wait_until(lambda: lab.internet.ns.connect(ADDRESS, 5201, 0.2) == "ok", "iperf3 to listen")

    def switch(self, on):
        if on and not self.on:
            self.gate.attach(self.lab.sandbox, "bench")
            assert ask(self.lab.sandbox.ns, "8.8.8.8", NAME).addresses == [ADDRESS]
        elif self.on and not on:
            self.gate.detach(self.lab.sandbox)
        self.on = on

    def measure(self, seconds):
        return {"conn_per_s": wrk(self.lab.sandbox.ns, f"http://{ADDRESS}:8080/", seconds),
                "gbps": iperf(self.lab.sandbox.ns, ADDRESS, seconds)}

    def daemons(self):
        pids = [daemon.pid for daemon in self.gate.daemons.values()]
        return pids + children_of(self.gate.daemons["postern-dns"].pid)


def kernel_cost(bin_dir, table):
    """Nanoseconds of the from-sandbox program, by BPF_PROG_TEST_RUN: a connection's first packet, one of a known flow."""
    program = os.path.join(bin_dir, "gate_cost")
    if not os.path.exists(program):
        sys.exit(f"bench: there is no {program}: run ./dev build")
    report = json.loads(subprocess.run([program], check=True, capture_output=True, text=True).stdout)
    for metric in ("bpf_ns_first", "bpf_ns_flow"):
        table.add("gate", metric, [report[metric]], "ns", runs=report["runs"])


def run(options):
    table = Table("connect")
    kernel_cost(options.bin, table)
    values = {slot: {"conn_per_s": [], "gbps": []} for slot in ("first", "gate", "second")}
    with Lab(zone=ZONE, servers=SERVERS, bin=options.bin) as lab:
        setup = Setup(lab)
        setup.measure(1)  # caches, frequency: not counted
        for number in range(options.runs):
            for slot in ORDERS[number % len(ORDERS)]:
                setup.switch(slot == "gate")
                for metric, value in setup.measure(options.seconds).items():
                    values[slot][metric].append(value)
            print(f"round {number + 1} of {options.runs}: " + ", ".join(
                f"{slot} {values[slot]['conn_per_s'][-1]:,.0f}/s {values[slot]['gbps'][-1]:.1f} Gbit/s"
                for slot in ("first", "gate", "second")), flush=True)
        setup.switch(True)
        memory = rss_mib(setup.daemons())
    for metric, unit in (("conn_per_s", "1/s"), ("gbps", "Gbit/s")):
        without, again, gated = (values[slot][metric] for slot in ("first", "second", "gate"))
        noise = spread([b / a for a, b in zip(without, again)])
        table.add("no_gate", metric, without, unit, noise)
        table.add("gate", metric, gated, unit, noise)
        table.add("gate", "ratio" if metric == "conn_per_s" else "ratio_gbps",
                  [g / a for g, a in zip(gated, without)], "", noise)
    table.add("gate", "rss_mib", [memory], "MiB")
    table.show()
    return table, judge(table)


def judge(table):
    row = next(row for row in table.rows if row["metric"] == "ratio")
    if row["value"] >= BOUND:
        print(f"\nratio {row['value']:.3f}: within the bound of {BOUND}.")
        return 0
    if row["aa_spread"] > 1 - BOUND:
        print(f"\nratio {row['value']:.3f}: inconclusive. The path differs from itself by {row['aa_spread'] * 100:.1f} %, more than the "
              f"bound allows: measure on a quieter machine.")
        return 0
    print(f"\nratio {row['value']:.3f}: BELOW the bound of {BOUND}.")
    return 1
