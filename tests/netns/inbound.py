#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Towards the sandbox: who may connect, replies on such connections, and ICMP errors that path MTU discovery needs."""
import contextlib
import socket
import sys

from harness import case, equal, main, true, wait_until
from lab import ask, frames

ZONE = """
www.allowed.example. 600 A 93.184.216.34
www.allowed.example. 600 AAAA 2606:2800:220::34
"""
POLICY = "allow: [{names: [www.allowed.example], ports: [80]}]"
INBOUND = POLICY + '\ninbound: [{cidrs: [198.51.100.53/32, "2001:db8:51::/64"], ports: [8080]}]'
CLOSED = POLICY + "\ninbound: []"
UPLOAD_BYTES = 300_000


@contextlib.contextmanager
def server(namespace, address, port):
    """Something that listens in the sandbox."""
    with namespace.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen()
        yield listener


def upload(lab):
    path = lab.folder + "/upload"
    with open(path, "wb") as file:
        file.write(b"x" * UPLOAD_BYTES)
    return path


def prepare(lab):
    for address in (lab.sandbox.v4, lab.sandbox.v6):
        with server(lab.sandbox.ns, address, 8080):
            equal(lab.internet.ns.connect(address, 8080), "ok", f"without the gate, {address} from outside")
    gate = lab.gate({"agent": POLICY}).start()
    gate.attach(lab.sandbox, "agent")
    return gate


@case("by default the node may connect (probes), both families, and gets replies")
def probes(lab, _gate):
    for address in (lab.sandbox.v4, lab.sandbox.v6):
        with server(lab.sandbox.ns, address, 8080) as listener:
            client = lab.node.open_connection(address, 8080)
            true(not isinstance(client, str), f"{address}: {client}")
            with client:
                peer, _ = listener.accept()
                with peer:
                    peer.sendall(b"alive")
                    client.settimeout(2)
                    equal(client.recv(10), b"alive", "the reply")


@case("by default nobody from outside may connect")
def outside(lab, _gate):
    for address in (lab.sandbox.v4, lab.sandbox.v6):
        with server(lab.sandbox.ns, address, 8080):
            equal(lab.internet.ns.connect(address, 8080, 0.3), "ETIMEDOUT", address)


@case("a policy's inbound opens exactly its peers and ports")
def by_policy(lab, gate):
    gate.write_policy("agent", INBOUND)
    gate.reload()
    for address in (lab.sandbox.v4, lab.sandbox.v6):
        for port, wanted in ((8080, "ok"), (8081, "ETIMEDOUT")):
            with server(lab.sandbox.ns, address, port):
                equal(lab.internet.ns.connect(address, port, 0.3), wanted, f"{address} port {port}")
    with server(lab.sandbox.ns, lab.sandbox.v4, 8080):
        equal(lab.internet.ns.connect(lab.sandbox.v4, 8080, 0.3, source="8.8.8.8"), "ETIMEDOUT", "another source")


@case("a connection that came in opens none going out: not to its peer's other ports, nor by SYN on its own ports")
def no_way_back(lab, _gate):
    with server(lab.sandbox.ns, lab.sandbox.v4, 8080) as listener:
        client = lab.internet.ns.open_connection(lab.sandbox.v4, 8080)
        with client:
            peer, address = listener.accept()
            with peer:
                equal(lab.sandbox.connect(address[0], 80, timeout=0.3), "ETIMEDOUT", "the peer's web server")
                arrived = lab.internet.count(f"ip saddr {lab.sandbox.v4} tcp flags syn / syn,ack")
                equal(lab.sandbox.connect(address[0], address[1], timeout=0.3), "ETIMEDOUT", "the peer's own port")
                equal(arrived.packets, 0, "SYNs that got out")


@case("a live inbound connection is cut when the policy no longer allows it")
def cut(lab, gate):
    with server(lab.sandbox.ns, lab.sandbox.v4, 8080) as listener:
        client = lab.internet.ns.open_connection(lab.sandbox.v4, 8080)
        with client:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"first")
                client.settimeout(0.5)
                equal(client.recv(10), b"first", "while it is allowed")
                gate.write_policy("agent", CLOSED)
                gate.reload()
                peer.sendall(b"second")
                try:
                    got = client.recv(10)
                except TimeoutError:
                    got = None
                equal(got, None, "bytes after the change")
    gate.write_policy("agent", POLICY)
    gate.reload()


@case("path MTU discovery works: an upload through a narrower link behind the node arrives, both families")
def path_mtu(lab, _gate):
    lab.node.ip("link", "set", "up0", "mtu", "1300")
    try:
        for kind, family in (("A", "-4"), ("AAAA", "-6")):
            ask(lab.sandbox.ns, "8.8.8.8", "www.allowed.example", kind)
            result = lab.sandbox.run(["curl", family, "-sS", "-m", "10", "-o", "/dev/null", "-w", "%{size_upload} %{http_code}",
                                      "--data-binary", "@" + upload(lab), "http://www.allowed.example/"], check=False)
            equal(result.out, f"{UPLOAD_BYTES} 200", f"upload {family}: {result}")
    finally:
        lab.node.ip("link", "set", "up0", "mtu", "1500")


@case("an ICMP error that quotes no flow does not come in, unsolicited packets neither")
def unsolicited(lab, gate):
    lab.sandbox.ns.nft("""table inet lab {
        chain in {
            type filter hook prerouting priority -300
            iifname eth0 meta l4proto { icmp, udp } counter
        }
    }""")

    def seen():
        return int(lab.sandbox.ns.run(["nft", "list", "table", "inet", "lab"]).out.split("packets ")[1].split()[0])
    v4 = lab.sandbox.v4
    quoted = frames.ipv4(v4, "93.184.216.34", frames.TCP, frames.tcp(v4, "93.184.216.34", 80, from_port=55555))[:28]
    error = b"\3\4\0\0\0\0\2\0" + quoted
    error = error[:2] + frames.checksum(error).to_bytes(2, "big") + error[4:]
    packets = (frames.ipv4("198.51.100.53", v4, frames.ICMP, error),
               frames.ipv4("198.51.100.53", v4, frames.UDP, frames.udp("198.51.100.53", v4, 5000)),
               frames.ipv4("198.51.100.53", v4, frames.ICMP, frames.echo("198.51.100.53", v4)))

    def send():
        with lab.internet.ns.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            for packet in packets:
                raw.sendto(packet, (v4, 0))
    gate.detach(lab.sandbox)
    send()
    wait_until(lambda: seen() == len(packets), "the packets to come in without the gate")
    gate.attach(lab.sandbox, "agent")
    send()
    equal(lab.internet.ns.connect(v4, 1, 0.3), "ETIMEDOUT", "a SYN after them")
    equal(seen(), len(packets), "packets that came in: with the gate no more")


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE))
