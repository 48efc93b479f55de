# SPDX-License-Identifier: Apache-2.0
"""Frames as from_sandbox redirects them, made by hand, and a client that speaks them.

The source MAC carries the sandbox's id (02:50 and four bytes), so one packet socket on the node's end
of the steering link plays any sandbox with any address, without a sandbox, a gate or a route.
"""
import ipaddress
import select
import socket
import struct
import time

ETH_P_ALL = 0x0003
ETH_P_IP = 0x0800
ETH_P_IPV6 = 0x86DD
PACKET_OUTGOING = 4
TCP_SYN, TCP_ACK, TCP_PSH, TCP_RST = 0x02, 0x10, 0x08, 0x04


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packed(address):
    return ipaddress.ip_address(address).packed


def ip_packet(source, target, protocol, segment, checksum_at):
    """An IP packet with the segment's checksum filled in at `checksum_at`."""
    src, dst = packed(source), packed(target)
    pseudo = src + dst + struct.pack("!IHBB", len(segment), 0, 0, protocol) if len(src) == 16 else \
        src + dst + struct.pack("!BBH", 0, protocol, len(segment))
    value = checksum(pseudo + segment) or 0xFFFF
    segment = segment[:checksum_at] + struct.pack("!H", value) + segment[checksum_at + 2:]
    if len(src) == 16:
        return ETH_P_IPV6, struct.pack("!IHBB", 6 << 28, len(segment), protocol, 64) + src + dst + segment
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0x4000, 64, protocol, 0) + src + dst
    return ETH_P_IP, header[:10] + struct.pack("!H", checksum(header)) + header[12:] + segment


class Segment:
    """What came out of the steering namespace, taken apart. `kind` is None for what is not UDP or TCP."""

    def __init__(self, frame):
        self.target_mac = frame[:6]
        ethertype = struct.unpack_from("!H", frame, 12)[0]
        self.kind = None
        if ethertype == ETH_P_IP:
            start = 14 + (frame[14] & 15) * 4
            self.protocol = frame[23]
            self.source, self.target = (str(ipaddress.ip_address(frame[i:i + 4])) for i in (26, 30))
            end = 14 + struct.unpack_from("!H", frame, 16)[0]
        elif ethertype == ETH_P_IPV6:
            start = 54
            self.protocol = frame[20]
            self.source, self.target = (str(ipaddress.ip_address(frame[i:i + 16])) for i in (22, 38))
            end = 54 + struct.unpack_from("!H", frame, 18)[0]
        else:
            return
        if self.protocol not in (socket.IPPROTO_UDP, socket.IPPROTO_TCP):
            return
        self.kind = "udp" if self.protocol == socket.IPPROTO_UDP else "tcp"
        self.source_port, self.target_port = struct.unpack_from("!HH", frame, start)
        if self.kind == "udp":
            self.data = frame[start + 8:end]
        else:
            self.sequence, self.acknowledged, offset, self.flags = struct.unpack_from("!IIBB", frame, start + 4)
            self.data = frame[start + (offset >> 4) * 4:end]


class Wire:
    """The node's end of the steering link, as the gate uses it."""

    def __init__(self, interface, peer_mac):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.bind((interface, ETH_P_ALL))
        self.peer_mac = peer_mac

    def close(self):
        self.socket.close()

    def send(self, sandbox, packet, prefix=b"\x02\x50"):
        ethertype, body = packet
        self.socket.send(self.peer_mac + prefix + struct.pack("!I", sandbox) + struct.pack("!H", ethertype) + body)

    def send_udp(self, sandbox, client, target, data, prefix=b"\x02\x50"):
        header = struct.pack("!HHHH", client[1], target[1], 8 + len(data), 0)
        self.send(sandbox, ip_packet(client[0], target[0], socket.IPPROTO_UDP, header + data, 6), prefix)

    def send_tcp(self, sandbox, client, target, flags, sequence, acknowledged=0, data=b""):
        header = struct.pack("!HHIIBBHHH", client[1], target[1], sequence, acknowledged, 5 << 4, flags, 65535, 0, 0)
        self.send(sandbox, ip_packet(client[0], target[0], socket.IPPROTO_TCP, header + data, 16))

    def receive(self, kind, client, target, timeout=2.0):
        """The next segment from `target` to `client`, or None."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.socket], [], [], left)[0]:
                return None
            frame, origin = self.socket.recvfrom(65536)
            if origin[2] == PACKET_OUTGOING:
                continue
            segment = Segment(frame)
            if segment.kind == kind and (segment.source, segment.source_port) == target and \
                    (segment.target, segment.target_port) == client:
                return segment
        return None


class TcpClient:
    """One connection of a sandbox: a handshake, data, a reset at the end. Enough for one query at a time."""

    def __init__(self, wire, sandbox, client, target):
        self.wire, self.sandbox, self.client, self.target = wire, sandbox, client, target
        self.sequence, self.acknowledged = 1000, 0

    def connect(self):
        self.wire.send_tcp(self.sandbox, self.client, self.target, TCP_SYN, self.sequence)
        answer = self.wire.receive("tcp", self.client, self.target)
        if answer is None or answer.flags & (TCP_SYN | TCP_ACK) != TCP_SYN | TCP_ACK:
            return False
        self.sequence += 1
        self.acknowledged = answer.sequence + 1 & 0xFFFFFFFF
        self.wire.send_tcp(self.sandbox, self.client, self.target, TCP_ACK, self.sequence, self.acknowledged)
        return True

    def send(self, data):
        self.wire.send_tcp(self.sandbox, self.client, self.target, TCP_ACK | TCP_PSH, self.sequence, self.acknowledged, data)
        self.sequence += len(data)

    def receive(self):
        while (segment := self.wire.receive("tcp", self.client, self.target)) is not None:
            if segment.data:
                self.acknowledged = segment.sequence + len(segment.data) & 0xFFFFFFFF
                self.wire.send_tcp(self.sandbox, self.client, self.target, TCP_ACK, self.sequence, self.acknowledged)
                return segment.data
        return None

    def reset(self):
        self.wire.send_tcp(self.sandbox, self.client, self.target, TCP_RST | TCP_ACK, self.sequence, self.acknowledged)
