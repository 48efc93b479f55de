#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bytes that are written after the verdict, and ICMP that borrows a flow.

Attack: with a packet socket (PACKET_VNET_HDR) the sandbox leaves a checksum to the node, and says where
it is to be written. An uplink without checksum offload writes it there after the gate has judged: over
the port, the IPv6 address or the next header. Seen on the internet's side without the check.
"""
import socket
import struct
import sys
import time

from harness import case, equal, main
from lab import frames
from lab.frames import UDP

ALLOWED6 = "2606:2800:220::34"
FOREIGN6 = "2a00:2800:220::34"
ALLOWED = "203.0.113.70"
POLICY = f'allow: [{{cidrs: [203.0.113.64/26, "{ALLOWED6}/128"], ports: [80, 80/udp, echo]}}]'
SOL_PACKET, PACKET_VNET_HDR = 263, 15
NEEDS_CSUM = 1  # linux/virtio_net.h
GRE = 47


def ones_sum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def ones_minus(a, b):
    total = a + (~b & 0xffff)
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def prepare(lab):
    lab.other_port = lab.internet.count(f'iifname "net0" ip daddr {ALLOWED} udp dport 22')
    lab.foreign = lab.internet.count(f'iifname "net0" ip6 daddr {FOREIGN6}')
    lab.gre = lab.internet.count('iifname "net0" ip6 nexthdr 47')
    lab.honest = lab.internet.count(f'iifname "net0" ip daddr {ALLOWED} udp dport 80')
    lab.icmp = lab.internet.count('iifname "net0" icmp type { redirect, timestamp-request }')
    lab.node.run(["ethtool", "-K", "up0", "tx", "off"])
    return lab.gate({"agent": POLICY}).start()


def sender(lab):
    raw = lab.sandbox.ns.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind(("eth0", 0))
    mac, gateway = lab.sandbox.mac, lab.node.mac_of(lab.sandbox.host_if)
    return raw, lambda packet: frames.ethernet(mac, gateway, packet)


def send_partial(lab):
    """The three rewrites, and one honest datagram whose checksum is left to the node."""
    raw, ethernet = sender(lab)
    raw.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)

    def send(packet, start, offset):
        raw.send(struct.pack("<BBHHHH", NEEDS_CSUM, 0, 0, 0, start, offset) + ethernet(packet))

    v4, v6 = lab.sandbox.v4, lab.sandbox.v6
    segment = struct.pack("!4H", 40000, 80, 10, 0)
    segment += struct.pack("!H", ones_minus(~22 & 0xffff, ones_sum(segment)))
    send(frames.ipv4(v4, ALLOWED, UDP, segment), 34, 2)
    segment = struct.pack("!4H", 40000, 80, 10, 0x1234)
    base = frames.ipv6(v6, ALLOWED6, UDP, segment + b"\0\0")
    base = base[:7] + bytes([63]) + base[8:]  # as it will be after the node
    for wanted, offset in ((0x2a00, 18), (GRE << 8 | 63, 0)):
        word = ones_minus(~wanted & 0xffff, ones_sum(base[6:]))
        send(frames.ipv6(v6, ALLOWED6, UDP, segment + struct.pack("!H", word)), 20, offset)
    honest = struct.pack("!4H", 40001, 80, 10, 0) + b"ok"
    send(frames.ipv4(v4, ALLOWED, UDP, honest), 34, 6)
    time.sleep(0.3)


def counts(lab):
    return [counter.packets for counter in (lab.other_port, lab.foreign, lab.gre)]


@case("without the gate a checksum's place rewrites port, address and next header")
def without_gate(lab, _gate):
    before = counts(lab)
    send_partial(lab)
    equal([a - b for a, b in zip(counts(lab), before)], [1, 1, 1], "rewritten packets that arrived")


@case("with the gate none of them leaves, and an honest one does")
def with_gate(lab, gate):
    gate.attach(lab.sandbox, "agent")
    before, honest = counts(lab), lab.honest.packets
    send_partial(lab)
    equal([a - b for a, b in zip(counts(lab), before)], [0, 0, 0], "rewritten packets that arrived")
    equal(lab.honest.packets - honest, 1, "honest packets that arrived")


@case("ICMP of other types does not pass for an echo flow")
def echo_identifier(lab, _gate):
    raw, ethernet = sender(lab)

    def icmp(kind, code, rest, body):
        message = struct.pack("!BBH", kind, code, 0) + rest + body
        return message[:2] + struct.pack("!H", frames.checksum(message)) + message[4:]

    before = lab.icmp.packets
    for identifier in (7, 0):
        for message in (icmp(8, 0, struct.pack("!HH", identifier, 1), b"x"), icmp(13, 0, bytes(4), bytes(12)),
                        icmp(5, 1, bytes(4), b"leak" * 8)):
            raw.send(ethernet(frames.ipv4(lab.sandbox.v4, ALLOWED, 1, message)))
            time.sleep(0.05)
    time.sleep(0.2)
    equal(lab.icmp.packets - before, 0, "ICMP that arrived")


sys.exit(main(prepare))
