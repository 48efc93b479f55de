#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Steering: a sandbox's packets to port 53 reach the proxy whatever their address, and nobody else's do.

On a hostile node: INPUT policy DROP, rp_filter 1, a service address that the node DNATs to another port,
and, in the second half, a foreign DNS server on the node's own port 53.
"""
import sys

from harness import case, equal, main, true, wait_until
from lab import ask, ask_tcp
from lab.internet import V4 as UPSTREAM

ZONE = """
www.allowed.example. 60 A 93.184.216.34
www.allowed.example. 60 AAAA 2606:2800:220::34
other.example.org. 60 A 93.184.217.1
"""
POLICY = "allow: [{names: [www.allowed.example]}]"
SERVICE4, SERVICE6 = "10.96.0.10", "fd96::10"
LINK_LOCAL = "169.254.20.10"  # where node-local DNS caches listen
NODE_RULES = f"""
table ip nat {{
  chain prerouting {{
    type nat hook prerouting priority dstnat
    ip daddr {SERVICE4} udp dport 53 dnat to {UPSTREAM}:5353
    ip daddr {SERVICE4} tcp dport 53 dnat to {UPSTREAM}:5353
  }}
}}
table ip6 nat {{
  chain prerouting {{
    type nat hook prerouting priority dstnat
    ip6 daddr {SERVICE6} udp dport 53 dnat to [2001:db8:51::53]:5353
  }}
}}
table inet filter {{
  chain input {{
    type filter hook input priority filter; policy drop
    ct state established,related accept
    meta l4proto ipv6-icmp accept
  }}
}}
"""


def servers(lab):
    """Where a sandbox may send a question, and what that address is."""
    sandbox = lab.sandbox
    link_local6 = f"{lab.node.link_local(sandbox.host_if)}%{sandbox.ns.index_of('eth0')}"
    return {"8.8.8.8": "a public resolver", "2001:4860:4860::8888": "a public resolver",
            sandbox.gateway4: "the node, on the link", sandbox.gateway6: "the node, on the link",
            lab.node_v4: "the node's own address", lab.node_v6: "the node's own address",
            LINK_LOCAL: "a link-local address", link_local6: "the node's link-local address", SERVICE4: "a service that the node DNATs",
            SERVICE6: "a service that the node DNATs", "192.0.2.200": "an address nobody has",
            UPSTREAM: "the upstream itself"}


def prepare(lab):
    lab.node.nft(NODE_RULES)
    for scope in ("all", "default", lab.sandbox.host_if, "up0"):
        lab.node.sysctl(f"net/ipv4/conf/{scope}/rp_filter", "1")
    lab.node.ip("addr", "add", LINK_LOCAL + "/32", "dev", "lo")
    gate = lab.gate({"agent": POLICY}).start()
    gate.attach(lab.sandbox, "agent")
    return gate


def check_all_servers(lab):
    asked = lab.internet.count("meta l4proto { tcp, udp } th dport { 53, 5353 } ip saddr 10.77.0.0/16")
    asked6 = lab.internet.count("meta l4proto { tcp, udp } th dport { 53, 5353 } ip6 saddr fd77::/16")
    for server, what in servers(lab).items():
        answer = ask(lab.sandbox.ns, server, "www.allowed.example")
        equal(answer and answer.addresses, ["93.184.216.34"], f"UDP to {server}, {what}")
        answers = ask_tcp(lab.sandbox.ns, server, [("www.allowed.example", "AAAA"), ("other.example.org", "A")])
        equal([a.addresses for a in answers], [["2606:2800:220::34"], []], f"TCP to {server}, {what}")
    equal((asked.packets, asked6.packets), (0, 0), "packets of the sandbox that reached a DNS server outside")


@case("UDP and TCP to any address are answered from that address, with INPUT DROP, rp_filter and DNAT on the node")
def steered(lab, _gate):
    check_all_servers(lab)


@case("a query from the internet side to the node's address gets no answer")
def nobody_else(lab, _gate):
    for server in (lab.node_v4, lab.node_v6, lab.sandbox.gateway4):
        equal(ask(lab.internet.ns, server, "www.allowed.example", timeout=0.4), None, f"UDP to {server}")
        true(lab.internet.ns.connect(server, 53, timeout=0.4) != "ok", f"TCP to {server}")


@case("nothing of it is in the node's namespace: no socket on port 53, no ip rule, no route, no netfilter rule of ours")
def node_untouched(lab, _gate):
    equal(lab.node.run(["ss", "-Hlntu", "sport", "=", ":53"]).out, "", "sockets on port 53")
    for family in ("-4", "-6"):
        rules = lab.node.run(["ip", family, "rule"]).out.split("\n")
        true(all("lookup local" in r or "lookup main" in r or "lookup default" in r or not r for r in rules), f"rules {rules}")
    true("postern" not in lab.node.run(["nft", "list", "ruleset"]).out, "netfilter rules")
    true("postern" not in lab.node.run(["ip", "route", "show", "table", "all"]).out, "routes")


@case("with a foreign process on the node's port 53, sandboxes still reach the proxy and others that process")
def foreign_server(lab, _gate):
    lab.node.nft("flush chain inet filter input")
    lab.node.nft("add chain inet filter input { policy accept; }")
    config = f"{lab.folder}/foreign.conf"
    with open(config, "w", encoding="ascii") as file:
        file.write('server:\n interface: 0.0.0.0@53\n interface: ::0@53\n chroot: ""\n username: ""\n do-daemonize: no\n'
                   ' use-syslog: no\n pidfile: ""\n access-control: 0.0.0.0/0 allow\n access-control: ::/0 allow\n'
                   ' module-config: "iterator"\n interface-automatic: yes\n'
                   ' local-zone: "allowed.example." static\n local-data: "www.allowed.example. A 192.0.2.66"\n'
                   'remote-control:\n control-enable: no\n')
    foreign = lab.node.daemon("foreign", ["unbound", "-d", "-c", config])
    try:
        def answers():
            foreign.require_alive()
            return ask(lab.internet.ns, lab.node_v4, "www.allowed.example", timeout=0.3)
        equal(wait_until(answers, "the foreign server").addresses, ["192.0.2.66"], "the internet's question")
        check_all_servers(lab)
    finally:
        foreign.stop()


@case("other ports of those addresses are not steered: the node's own are never-listed, a service's are judged")
def other_ports(lab, _gate):
    for address in (lab.sandbox.gateway4, lab.node_v4, LINK_LOCAL, SERVICE4):
        equal(lab.sandbox.connect(address, 5353, timeout=0.3), "ETIMEDOUT", address)


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE))
