#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""./dev bench: measures in private namespaces, prints a table, writes it as JSON."""
import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import connect_bench  # noqa: E402
import dns_bench  # noqa: E402
import policy_bench  # noqa: E402

BENCHES = {"connect": connect_bench, "dns": dns_bench, "policy": policy_bench}


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description="Measures what the gate costs, in private namespaces.")
    parser.add_argument("bench", choices=list(BENCHES), help="connections and throughput, DNS, or policies")
    parser.add_argument("--json", metavar="FILE", help="write the results there too")
    parser.add_argument("--bin", default=os.path.join("build", "release", "bin"), help="folder of the Postern programs")
    parser.add_argument("--runs", type=int, default=11, help="rounds; medians are reported (default 11)")
    parser.add_argument("--seconds", type=int, default=2, help="length of one measurement (default 2)")
    parser.add_argument("--peers", nargs="*", default=[], choices=["unbound", "dnsdist"],
                        help="dns: measure these resolvers in the gate's place too")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("bench: it makes network namespaces and loads programs into the kernel: run it with sudo")
    if os.cpu_count() < 2:
        sys.exit("bench: server and generator need a processor each")
    options.bin = os.path.abspath(options.bin)
    table, status = BENCHES[options.bench].run(options)
    if options.json:
        table.write(options.json)
    return status


if __name__ == "__main__":
    sys.exit(main())
