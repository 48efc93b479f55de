# SPDX-License-Identifier: Apache-2.0
"""Frames byte by byte, for what no socket API would send; checksums right unless a test breaks them."""
import socket
import struct

TCP, UDP, ICMP, ICMPV6, SCTP, GRE, ESP, IPIP = 6, 17, 1, 58, 132, 47, 50, 4
SYN, ACK, RST = 2, 16, 4


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def pseudo(source, target, protocol, length):
    """The pseudo header of RFC 9293 3.1 and RFC 8200 8.1."""
    if ":" in source:
        return packed(source) + packed(target) + struct.pack("!I3xB", length, protocol)
    return packed(source) + packed(target) + struct.pack("!xBH", protocol, length)


def udp(source, target, port, payload=b"x", from_port=40000):
    header = struct.pack("!4H", from_port, port, 8 + len(payload), 0)
    total = checksum(pseudo(source, target, UDP, 8 + len(payload)) + header + payload) or 0xFFFF
    return header[:6] + struct.pack("!H", total) + payload


def tcp(source, target, port, flags=SYN, from_port=40000, payload=b""):
    header = struct.pack("!2H2I4H", from_port, port, 1, 1 if flags & ACK else 0, 5 << 12 | flags, 64240, 0, 0)
    total = checksum(pseudo(source, target, TCP, 20 + len(payload)) + header + payload)
    return header[:16] + struct.pack("!H", total) + header[18:] + payload


def echo(source, target):
    """An ICMP echo request of either family."""
    kind = 128 if ":" in source else 8
    message = struct.pack("!BBHHH", kind, 0, 0, 7, 1) + b"echo"
    total = checksum((pseudo(source, target, ICMPV6, len(message)) if ":" in source else b"") + message)
    return message[:2] + struct.pack("!H", total) + message[4:]


def ipv4(source, target, protocol, payload, *, options=b"", fragment=0, ttl=64):
    """fragment: flags and offset as in the header; 0x2000 is "more fragments"."""
    words = 5 + len(options) // 4
    header = struct.pack("!BBHHHBBH4s4s", 0x40 | words, 0, words * 4 + len(payload), 1, fragment, ttl, protocol, 0,
                         packed(source), packed(target)) + options
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def ipv6(source, target, protocol, payload):
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + packed(source) + packed(target) + payload


def ethernet(source_mac, target_mac, packet, ethertype=None):
    if ethertype is None:
        ethertype = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    return mac_bytes(target_mac) + mac_bytes(source_mac) + struct.pack("!H", ethertype) + packet


def mac_bytes(mac):
    return bytes.fromhex(mac.replace(":", ""))
