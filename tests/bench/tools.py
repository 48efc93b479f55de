# SPDX-License-Identifier: Apache-2.0
"""The generators and meters of the benchmarks: wrk, iperf3, dnsperf, processor time, memory.

The server side runs on processor SERVER_CPU, the generator on GENERATOR_CPU.
"""
import json
import os
import re
import resource
import statistics
import time

from lab import CommandFailed

SERVER_CPU, GENERATOR_CPU = 0, 1
BASELINE_MAX = 0.1  # busy processors, before anything is measured
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def pin(pid, cpu=SERVER_CPU):
    """Pins all threads of a process."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), {cpu})


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


def pinned(argv, cpu=GENERATOR_CPU):
    return ["taskset", "-c", str(cpu), *argv]


def rss_mib(pids):
    """Resident memory of processes, summed."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            total += int(re.search(r"VmRSS:\s+(\d+) kB", file.read()).group(1))
    return total / 1024


def busy_s():
    """Non-idle time of all processors since boot: user, nice, system, irq and softirq."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _iowait, irq, softirq = (int(word) for word in file.readline().split()[1:8])
    return (user + nice + system + irq + softirq) * TICK_S


class CpuMeter:
    """Processor time that a load costs: non-idle time - the generator's own - the idle baseline."""

    def __init__(self, baseline_s=2.0, quiet_by_s=60):
        # The baseline is taken off every measurement, so what will not last must not be in it.
        deadline = time.monotonic() + quiet_by_s
        while True:
            began, busy = time.monotonic(), busy_s()
            time.sleep(baseline_s)
            self.baseline = (busy_s() - busy) / (time.monotonic() - began)  # busy seconds a second
            if self.baseline <= BASELINE_MAX or time.monotonic() > deadline:
                break
        if self.baseline > BASELINE_MAX:
            print(f"WARNING: {self.baseline:.1f} of {os.cpu_count()} processors are busy with other things: cpu_us_per_query will be "
                  "wrong, and the rest too low", flush=True)

    def measure(self, load):
        """load() runs one generator to its end. Returns (its value, processor seconds that the rest spent on it)."""
        began, busy, own = time.monotonic(), busy_s(), resource.getrusage(resource.RUSAGE_CHILDREN)
        value = load()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        generator = after.ru_utime + after.ru_stime - own.ru_utime - own.ru_stime
        spent = busy_s() - busy - generator - self.baseline * (time.monotonic() - began)
        return value, spent


def wrk(namespace, url, seconds):
    """New HTTP connections a second: the server closes each after one answer."""
    out = namespace.run(pinned(["wrk", "-t1", "-c64", f"-d{seconds}s", url]), timeout=seconds + 20).out
    if "Socket errors" in out and not re.search(r"connect 0, read \d+, write 0, timeout 0", out):
        raise CommandFailed(f"wrk had errors: {out}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))


def iperf(namespace, address, seconds):
    """TCP throughput in Gbit/s."""
    argv = ["iperf3", "-c", address, "-t", str(seconds), "-O", "0.2", "-J", "-A", str(GENERATOR_CPU)]
    result = namespace.run(argv, timeout=seconds + 20, check=False)
    report = json.loads(result.out)
    if "error" in report:
        raise CommandFailed(f"iperf3: {report['error']}")
    return report["end"]["sum_received"]["bits_per_second"] / 1e9


class DnsLoad:
    """One run of dnsperf: answers, qps, and with details latencies in microseconds."""

    def __init__(self, namespace, server, names, seconds, *, rate=None):
        argv = ["dnsperf", "-s", server, "-d", names, "-l", str(seconds), "-t", "2"]
        argv += ["-Q", str(rate), "-v"] if rate else ["-q", "100"]
        out = namespace.run(pinned(argv), timeout=seconds + 20).out
        self.answers = int(re.search(r"Queries completed:\s+(\d+)", out).group(1))
        self.lost = int(re.search(r"Queries lost:\s+(\d+)", out).group(1))
        self.qps = float(re.search(r"Queries per second:\s+([\d.]+)", out).group(1))
        self.rcodes = re.search(r"Response codes:\s+(.*)", out).group(1)
        if self.answers == 0:
            raise CommandFailed(f"dnsperf got no answer: {out}")
        latencies = sorted(float(line.split()[-1]) * 1e6 for line in out.splitlines() if line.startswith("> "))
        if latencies:
            self.p50_us = latencies[len(latencies) // 2]
            self.p99_us = latencies[min(len(latencies) - 1, len(latencies) * 99 // 100)]


def spread(values):
    """(max - min) / median."""
    return (max(values) - min(values)) / statistics.median(values)


class Table:
    """Collects results, prints them, writes them as JSON."""

    def __init__(self, bench):
        self.bench, self.rows = bench, []

    def add(self, case, metric, values, unit, aa_spread=None, runs=None):
        """values: of each run; the median is reported. runs: how many, where the one value is a median already."""
        values = list(values)
        self.rows.append({"bench": self.bench, "case": case, "metric": metric, "value": round(statistics.median(values), 4),
                          "unit": unit, "runs": runs or len(values), "aa_spread": None if aa_spread is None else round(aa_spread, 4)})

    def value(self, case, metric):
        return next((row["value"] for row in self.rows if (row["case"], row["metric"]) == (case, metric)), None)

    def show(self):
        print(f"\n{'case':<18} {'metric':<18} {'value':>14} {'unit':<8} {'runs':>4} {'A/A spread':>10}")
        for row in self.rows:
            aa = "" if row["aa_spread"] is None else f"{row['aa_spread'] * 100:.1f} %"
            number = f"{row['value']:,.3f}" if row["value"] < 100 else f"{row['value']:,.0f}"
            print(f"{row['case']:<18} {row['metric']:<18} {number:>14} {row['unit']:<8} {row['runs']:>4} {aa:>10}")

    def write(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.rows, file, indent=1)
            file.write("\n")
