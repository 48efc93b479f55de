#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The boundary: frames of every kind, written byte by byte by root inside the sandbox.

Each is sent without the gate first, where it arrives (so the frame is good), then with it, where it does not.
"""
import re
import socket
import struct
import sys

from harness import case, equal, main, true, wait_until
from lab import ask, frames
from lab.frames import ESP, GRE, ICMP, ICMPV6, IPIP, SCTP, TCP, UDP

ZONE = """
www.allowed.example. 60 A 93.184.216.34
www.allowed.example. 60 AAAA 2606:2800:220::34
"""
POLICY = "allow: [{names: [www.allowed.example], ports: [80]}, {cidrs: [203.0.113.64/26], ports: [80, 80/udp]}]"
T4, T6 = "203.0.113.7", "2606:4700::7"         # in no rule
GRANTED4 = "93.184.216.34"
SPOOFED4, SPOOFED6 = "10.77.200.2", "fd77:200::2"
STRANGE_TYPES = (0x88B5, 0x8863, 0x88CC)     # experimental, PPPoE discovery, LLDP
HOP_BY_HOP = bytes([UDP, 0, 1, 4, 0, 0, 0, 0])  # one PadN


def kinds(v4, v6):
    """{what: packet}: what is sent to addresses that no rule opens."""
    return {
        "TCP SYN": frames.ipv4(v4, T4, TCP, frames.tcp(v4, T4, 443)),
        "TCP SYN, IPv6": frames.ipv6(v6, T6, TCP, frames.tcp(v6, T6, 443)),
        "TCP ACK without a connection": frames.ipv4(v4, T4, TCP, frames.tcp(v4, T4, 443, frames.ACK, payload=b"leak")),
        "TCP SYN and ACK": frames.ipv4(v4, T4, TCP, frames.tcp(v4, T4, 443, frames.SYN | frames.ACK)),
        "TCP RST": frames.ipv4(v4, T4, TCP, frames.tcp(v4, T4, 443, frames.RST)),
        "UDP": frames.ipv4(v4, T4, UDP, frames.udp(v4, T4, 443)),
        "UDP, IPv6": frames.ipv6(v6, T6, UDP, frames.udp(v6, T6, 443)),
        "UDP to 5353": frames.ipv4(v4, T4, UDP, frames.udp(v4, T4, 5353)),
        "ICMP echo": frames.ipv4(v4, T4, ICMP, frames.echo(v4, T4)),
        "ICMPv6 echo": frames.ipv6(v6, T6, ICMPV6, frames.echo(v6, T6)),
        "SCTP": frames.ipv4(v4, T4, SCTP, b"\0" * 16),
        "GRE": frames.ipv4(v4, T4, GRE, b"\0\0\x08\0" + frames.ipv4(v4, T4, UDP, frames.udp(v4, T4, 9))),
        "ESP": frames.ipv4(v4, T4, ESP, b"\0" * 32),
        "IP in IP": frames.ipv4(v4, T4, IPIP, frames.ipv4(v4, T4, UDP, frames.udp(v4, T4, 9))),
        "protocol 253": frames.ipv4(v4, T4, 253, b"leak"),
        "IPv4 options": frames.ipv4(v4, T4, UDP, frames.udp(v4, T4, 443), options=b"\1\1\1\1"),
        "a first fragment": frames.ipv4(v4, T4, UDP, frames.udp(v4, T4, 443, b"x" * 24), fragment=0x2000),
        "a later fragment": frames.ipv4(v4, T4, UDP, b"leak" * 4, fragment=3),
        "IPv6 hop-by-hop options": frames.ipv6(v6, T6, 0, HOP_BY_HOP + frames.udp(v6, T6, 443)),
        "IPv6 fragment header": frames.ipv6(v6, T6, 44, struct.pack("!BBHI", UDP, 0, 0, 1) + frames.udp(v6, T6, 443)),
        "spoofed IPv4 source": frames.ipv4(SPOOFED4, T4, UDP, frames.udp(SPOOFED4, T4, 443)),
        "spoofed IPv6 source": frames.ipv6(SPOOFED6, T6, UDP, frames.udp(SPOOFED6, T6, 443)),
        "spoofed source, allowed target": frames.ipv4(SPOOFED4, "203.0.113.70", UDP, frames.udp(SPOOFED4, "203.0.113.70", 80)),
        "a granted address, another port": frames.ipv4(v4, GRANTED4, UDP, frames.udp(v4, GRANTED4, 81)),
        "a granted address, UDP on a TCP port": frames.ipv4(v4, GRANTED4, UDP, frames.udp(v4, GRANTED4, 80)),
        "a granted address, ICMP echo": frames.ipv4(v4, GRANTED4, ICMP, frames.echo(v4, GRANTED4)),
        "a granted address, a fragment": frames.ipv4(v4, GRANTED4, TCP, frames.tcp(v4, GRANTED4, 80, payload=b"x" * 4), fragment=0x2000),
        "a granted address, ACK of no connection": frames.ipv4(v4, GRANTED4, TCP, frames.tcp(v4, GRANTED4, 80, frames.ACK)),
    }


class Sender:
    def __init__(self, lab):
        self.lab = lab
        self.mac, self.gateway_mac = lab.sandbox.mac, lab.node.mac_of(lab.sandbox.host_if)
        self.socket = lab.sandbox.ns.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.socket.bind(("eth0", 0))
        lab.undo.add(self.socket.close)

    def send(self, packet, mac=None, ethertype=None):
        self.socket.send(frames.ethernet(mac or self.mac, self.gateway_mac, packet, ethertype))


def prepare(lab):
    lab.sender = Sender(lab)
    # The internet's own reassembly would swallow fragments, so they are counted before it.
    lab.arrived = lab.internet.count(f'iifname "net0" ip saddr {{ {lab.sandbox.v4}, {SPOOFED4} }}')
    lab.arrived6 = lab.internet.count(f'iifname "net0" ip6 saddr {{ {lab.sandbox.v6}, {SPOOFED6} }}')
    return lab.gate({"agent": POLICY}).start()


def total(lab):
    return lab.arrived.packets + lab.arrived6.packets


def arrives(lab, packet, mac=None):
    before = total(lab)
    lab.sender.send(packet, mac)
    try:
        wait_until(lambda: total(lab) > before, "it", 0.5)
        return True
    except TimeoutError:
        return False


@case("without the gate every kind of packet arrives")
def control(lab, _gate):
    lab.sandbox.connect(T4, 9)  # neighbours are known from here on
    lab.sandbox.connect(T6, 9)
    for what, packet in kinds(lab.sandbox.v4, lab.sandbox.v6).items():
        true(arrives(lab, packet), f"{what} does not arrive even without the gate")


@case("with the gate none of them does")
def denied(lab, gate):
    gate.attach(lab.sandbox, "agent")
    ask(lab.sandbox.ns, "8.8.8.8", "www.allowed.example")
    equal(lab.sandbox.connect(GRANTED4, 80), "ok", "the granted address")
    packets = kinds(lab.sandbox.v4, lab.sandbox.v6)
    before = total(lab)
    for packet in packets.values():
        lab.sender.send(packet)
    # What is allowed comes after them on the same link: once it is there, they would be.
    lab.sender.send(frames.ipv4(lab.sandbox.v4, "203.0.113.70", UDP, frames.udp(lab.sandbox.v4, "203.0.113.70", 80)))
    wait_until(lambda: total(lab) > before, "the allowed packet")
    equal(total(lab) - before, 1, "packets that arrived: the allowed one")
    return f"{len(packets)} kinds"


@case("a foreign source MAC is dropped, also with an allowed packet")
def spoofed_mac(lab, _gate):
    packet = frames.ipv4(lab.sandbox.v4, "203.0.113.70", UDP, frames.udp(lab.sandbox.v4, "203.0.113.70", 80))
    true(arrives(lab, packet), "with its own MAC")
    true(not arrives(lab, packet, "02:00:00:00:00:99"), "with another MAC")


@case("frames that are neither IP nor ARP do not reach the node")
def ethertypes(lab, gate):
    def seen():
        text = lab.node.run(["nft", "list", "table", "netdev", "lab"]).out
        return int(re.search(r"packets (\d+)", text).group(1))

    def send():
        for ethertype in STRANGE_TYPES:
            lab.sender.send(b"\0\1\x08\0" + b"x" * 60, ethertype=ethertype)
    gate.detach(lab.sandbox)
    lab.node.nft(f"""table netdev lab {{
        chain in {{
            type filter hook ingress device {lab.sandbox.host_if} priority 100
            ether type {{ {", ".join(map(str, STRANGE_TYPES))} }} counter
        }}
    }}""")
    send()
    equal(seen(), len(STRANGE_TYPES), "without the gate")
    gate.attach(lab.sandbox, "agent")
    send()
    equal(seen(), len(STRANGE_TYPES), "with the gate no more")


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE))
