# SPDX-License-Identifier: Apache-2.0
"""bench dns: what a question costs. Cases: no_gate (knotd asked directly), allowed_cached, allowed_uncached, denied.

qps and cpu_us_per_query come from a run at full load, p50_us and p99_us from one at a fixed rate (LATENCY_QPS),
where no queue hides them. One DNS worker and all servers share one processor, dnsperf has the other.
cpu_us_per_query = (non-idle time of both processors - dnsperf's own - idle baseline) / answers, for every case
and peer alike; allowed_uncached holds the upstream's (knotd's) time too.
"""
import os

from lab import Lab, ask, wait_until
from lab.internet import V4 as UPSTREAM
from tools import CpuMeter, DnsLoad, Table, children_of, pin, rss_mib, spread

CACHED = 1000      # names; all in the cache after one round
ADDRESSES = 2000   # that the uncached names lead to
UNCACHED_QPS_MAX = 150_000
LATENCY_QPS = 2000
ZONE = "\n".join([f"c{n}.cached.example. 86400 A 93.184.{n // 250}.{n % 250 + 1}" for n in range(CACHED)] +
                 [f"*.w{n}.uncached.example. 3600 A 93.184.{100 + n // 250}.{n % 250 + 1}" for n in range(ADDRESSES)])
POLICY = 'allow: [{names: ["*.cached.example", "*.uncached.example"]}]'
CASES = ("no_gate", "allowed_cached", "allowed_uncached", "denied")


class Names:
    """Files of questions for dnsperf. Uncached names are never asked twice."""

    def __init__(self, folder):
        self.folder, self.next = folder, 0

    def write(self, case, count):
        path = os.path.join(self.folder, f"names-{case}")
        with open(path, "w", encoding="ascii") as file:
            if case == "denied":
                file.writelines(f"d{n}.denied.example.org A\n" for n in range(CACHED))
            elif case == "allowed_uncached":
                file.writelines(f"n{n}.w{n % ADDRESSES}.uncached.example A\n" for n in range(self.next, self.next + count))
                self.next += count
            else:
                file.writelines(f"c{n}.cached.example A\n" for n in range(CACHED))
        return path


class Bench:
    def __init__(self, lab, options):
        self.lab, self.options = lab, options
        self.names = Names(lab.folder)
        self.gated, self.free = lab.sandboxes
        self.gate = lab.gate({"bench": POLICY}, workers=1, observer=False, log_level="warn").start()
        self.gate.attach(self.gated, "bench")
        self.dns_pids = [self.gate.daemons["postern-dns"].pid, *children_of(self.gate.daemons["postern-dns"].pid)]
        for pid in (*self.dns_pids, self.gate.daemons["posternd"].pid, lab.internet.dns.pid):
            pin(pid)
        self.meter = CpuMeter()
        self.results = {}

    def where(self, case):
        """Namespace and server that a case asks."""
        if case == "no_gate":
            return self.free.ns, UPSTREAM
        if case.startswith("peer_"):
            return self.free.ns, self.free.gateway4
        return self.gated.ns, "8.8.8.8"

    def measure(self, case):
        namespace, server = self.where(case)
        seconds = self.options.seconds
        names = self.names.write(case, UNCACHED_QPS_MAX * seconds)
        load, spent = self.meter.measure(lambda: DnsLoad(namespace, server, names, seconds))
        names = self.names.write(case, LATENCY_QPS * 2)
        slow = DnsLoad(namespace, server, names, 1, rate=LATENCY_QPS)
        result = {"qps": load.qps, "cpu_us_per_query": spent / load.answers * 1e6, "p50_us": slow.p50_us, "p99_us": slow.p99_us}
        for metric, value in result.items():
            self.results.setdefault(case, {}).setdefault(metric, []).append(value)
        lost = f", {load.lost} lost" if load.lost else ""
        print(f"  {case:<18} {load.qps:>10,.0f} q/s {result['cpu_us_per_query']:6.2f} us/query, {slow.p50_us:6.0f} us p50 "
              f"{slow.p99_us:6.0f} us p99; {load.rcodes}{lost}", flush=True)
        return load.qps


UNBOUND_CONF = """
server:
  interface: {address}@53
  chroot: ""
  username: ""
  do-daemonize: no
  use-syslog: no
  pidfile: ""
  num-threads: 1
  access-control: 0.0.0.0/0 allow
  module-config: "iterator"
  msg-cache-size: 64m
  rrset-cache-size: 64m
forward-zone:
  name: "."
  forward-addr: {upstream}
remote-control:
  control-enable: no
"""
DNSDIST_CONF = """
setLocal("{address}:53")
setACL({{"0.0.0.0/0"}})
newServer({{address="{upstream}:53"}})
getPool(""):setCache(newPacketCache(100000))
setSecurityPollSuffix("")
"""


class Peer:
    """Another resolver in the gate's place on the node, without a gate: what the same questions cost there."""

    def __init__(self, bench, name):
        self.case = f"peer_{name}"
        lab, address = bench.lab, bench.free.gateway4
        conf = os.path.join(lab.folder, name + ".conf")
        text, argv = {"unbound": (UNBOUND_CONF, ["unbound", "-d", "-c", conf]),
                      "dnsdist": (DNSDIST_CONF, ["dnsdist", "--supervised", "--disable-syslog", "-C", conf])}[name]
        with open(conf, "w", encoding="ascii") as file:
            file.write(text.format(address=address, upstream=UPSTREAM))
        self.daemon = lab.node.daemon(name, argv)
        lab.undo.add(self.daemon.stop)
        wait_until(lambda: ask(bench.free.ns, address, "c1.cached.example", timeout=0.3), f"{name} to answer", 10)
        pin(self.daemon.pid)


def run(options):
    table = Table("dns")
    with Lab(zone=ZONE, sandboxes=2, web=False, bin=options.bin) as lab:
        bench = Bench(lab, options)
        for case in CASES:
            DnsLoad(*bench.where(case), bench.names.write(case, 1000), 1, rate=5000)  # fills caches: not counted
        noise = []
        for number in range(options.runs):
            print(f"round {number + 1} of {options.runs}", flush=True)
            turn = number % len(CASES)
            first = [bench.measure(case) for case in CASES[turn:] + CASES[:turn]][-turn if turn else 0]
            noise.append(bench.measure("no_gate") / first)
            bench.results["no_gate"] = {metric: values[:number + 1] for metric, values in bench.results["no_gate"].items()}
        memory = rss_mib(bench.dns_pids)
        for name in options.peers:
            peer = Peer(bench, name)
            for _ in range(options.runs):
                bench.measure(peer.case)
            peer.daemon.stop()
    for case, metrics in bench.results.items():
        for metric, unit in (("qps", "1/s"), ("cpu_us_per_query", "us"), ("p50_us", "us"), ("p99_us", "us")):
            table.add(case, metric, metrics[metric], unit, spread(noise))
    table.add("allowed_cached", "rss_mib", [memory], "MiB")
    table.show()
    return table, 0
