#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The flow log as a client of Hubble's API sees it. The client is Python's gRPC, and reads messages by field number,
so that neither our .proto files nor our C++ library can be wrong together with the server."""
import os
import socket
import struct
import sys
import time

try:
    import grpc
except ImportError:  # Debian's package is for Debian's Python, which need not be the first one in PATH
    if os.path.realpath(sys.executable) == os.path.realpath("/usr/bin/python3"):
        sys.exit("needs python3-grpcio (./dev deps)")
    os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])

from harness import case, equal, main, true, wait_until
from lab import ask

ZONE = """
www.allowed.example. 60 A 93.184.216.34
www.allowed.example. 60 A 93.184.216.35
other.example.org. 60 A 93.184.217.1
"""
POLICY = """
allow:
- names: [www.allowed.example]
- cidrs: [203.0.113.0/24]
deny:
- cidrs: [203.0.113.10/32]
"""
# Numbers of Hubble's protocol that the cases name.
FORWARDED, DROPPED, REQUEST, RESPONSE, EGRESS, L7 = 1, 2, 1, 2, 2, 2
POLICY_DENIED, POLICY_DENY, WORLD = 133, 181, 2
# The field mask of the stock command line's compact output.
PRINTER_MASK = """time verdict ethernet IP l4 source.identity source.namespace source.pod_name destination.identity
destination.namespace destination.pod_name Type node_name l7 event_type source_service destination_service is_reply
Summary ip_trace_id""".split()


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def encode(*fields):
    """(number, int | str | bytes) pairs as a message."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


class Message:
    """A message by field numbers: m(8, 5) is the last value of field 5 of field 8; 0 or empty when absent."""

    def __init__(self, data):
        self.fields, at = {}, 0
        while at < len(data):
            key, at = self._varint(data, at)
            if key & 7 == 0:
                value, at = self._varint(data, at)
            elif key & 7 == 1:
                value, at = struct.unpack_from("<d", data, at)[0], at + 8
            elif key & 7 == 2:
                size, at = self._varint(data, at)
                value, at = data[at:at + size], at + size
            else:
                raise AssertionError(f"wire type {key & 7}")
            self.fields.setdefault(key >> 3, []).append(value)

    @staticmethod
    def _varint(data, at):
        value = shift = 0
        while True:
            byte = data[at]
            value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
            if byte < 0x80:
                return value, at

    def has(self, number):
        return number in self.fields

    def __call__(self, *path):
        value = self.fields.get(path[0], [0])[-1]
        return value if len(path) == 1 else Message(value or b"")(*path[1:])

    def text(self, *path):
        return (self(*path) or b"").decode()

    def texts(self, *path):
        owner = self if len(path) == 1 else Message(self(*path[:-1]) or b"")
        return [value.decode() for value in owner.fields.get(path[-1], [])]


class Hubble:
    """A client of one observer."""

    def __init__(self, path):
        self.channel = grpc.insecure_channel("unix://" + path)

    def close(self):
        self.channel.close()

    def call(self, method, request=b""):
        return Message(self.channel.unary_unary(method)(request, timeout=5))

    def stream(self, *fields, timeout=10):
        return self.channel.unary_stream("/observer.Observer/GetFlows")(encode(*fields), timeout=timeout)

    def flows(self, *fields):
        responses = [Message(data) for data in self.stream(*fields)]
        return [Message(response(1)) for response in responses if response.has(1)]


def whitelist(*fields):
    return 6, encode(*fields)


def blacklist(*fields):
    return 5, encode(*fields)


EITHER_POD = [lambda name: whitelist((2, name)), lambda name: whitelist((4, name))]


def prepare(lab):
    gate = lab.gate({"agent": POLICY}, observer=True).start()
    gate.attach(lab.sandbox, "agent")
    gate.hubble = Hubble(gate.observer_socket)
    lab.undo.add(gate.hubble.close)
    ask(lab.sandbox.ns, "8.8.8.8", "www.allowed.example")
    equal(lab.sandbox.connect("93.184.216.34"), "ok", "an allowed connection")
    equal(lab.sandbox.connect("93.184.216.34", 80, timeout=0.2), "ETIMEDOUT", "its other port")
    ask(lab.sandbox.ns, "8.8.8.8", "Other.example.org")
    equal(lab.sandbox.connect("8.8.8.8", 443, timeout=0.2), "ETIMEDOUT", "an address nobody looked up")
    equal(lab.sandbox.connect("203.0.113.10", 443, timeout=0.2), "ETIMEDOUT", "an address that a rule denies")
    wait_until(lambda: gate.hubble.flows((1, 1), whitelist((3, "203.0.113.10"))), "the last flow")
    return gate


def one(gate, *filter_fields):
    flows = gate.hubble.flows((1, 1), whitelist(*filter_fields))
    true(flows, f"no flow for {filter_fields}")
    return flows[0]


@case("health for both names, status, nodes and namespaces")
def calls(_lab, gate):
    for service in ("", "hubble.server.Observer"):
        equal(gate.hubble.call("/grpc.health.v1.Health/Check", encode((1, service)))(1), 1, f"health of {service!r}")
    status = gate.hubble.call("/observer.Observer/ServerStatus")
    true(status(1) > 3 and status(2) == 4095 and status(3) >= status(1) and status(4) > 0, "flows, limit, seen, uptime")
    node = Message(gate.hubble.call("/observer.Observer/GetNodes")(1))
    equal((node.text(1), node(4)), (os.uname().nodename, 1), "node name and state")
    equal(gate.hubble.call("/observer.Observer/GetNamespaces").text(1, 2), "default", "namespace")
    for method in ("GetAgentEvents", "GetDebugEvents"):
        try:
            list(gate.hubble.channel.unary_stream("/observer.Observer/" + method)(b"", timeout=5))
            raise AssertionError(f"{method} answered")
        except grpc.RpcError as error:
            equal(error.code(), grpc.StatusCode.UNIMPLEMENTED, method)


@case("a denied name: DROPPED, in destination_names and in Summary, with its question")
def denied_name(lab, gate):
    flow = one(gate, (8, "other.example.org"))
    equal((flow(2), flow(3), flow(25), flow(10)), (DROPPED, POLICY_DENIED, POLICY_DENIED, L7), "verdict and reason")
    equal(flow.texts(14), ["other.example.org"], "destination_names")
    true("other.example.org" in flow.text(100000) and "name not allowed" in flow.text(100000), flow.text(100000))
    equal((flow.text(15, 100, 1), flow.texts(15, 100, 7)), ("other.example.org.", ["A"]), "question")
    equal((flow(15, 1), flow(19, 1), flow(22)), (REQUEST, 129, EGRESS), "kind")
    equal((flow.text(8, 3), flow.text(8, 5)), ("default", lab.sandbox.host_if), "source pod")
    equal((flow(9, 2), flow.texts(9, 4)), (WORLD, ["reserved:world"]), "destination")
    equal((flow.text(5, 1), flow.text(5, 2), flow(6, 2, 2)), (lab.sandbox.v4, "8.8.8.8", 53), "packet")


@case("a dropped SYN: the address, the port, SYN, the reason; a deny rule by its policy")
def dropped_syn(_lab, gate):
    flow = one(gate, (3, "8.8.8.8"), (12, "tcp"))
    equal((flow(2), flow(25), flow(19, 1), flow(19, 2)), (DROPPED, POLICY_DENIED, 1, POLICY_DENIED), "verdict")
    equal((flow(6, 1, 2), flow(6, 1, 3, 2), flow.has(26)), (443, 1, False), "port, SYN, no is_reply")
    true(flow.text(100000).startswith("TCP Flags: SYN"), flow.text(100000))
    flow = one(gate, (3, "203.0.113.10"))
    equal((flow(25), flow.text(21004, 1)), (POLICY_DENY, "agent"), "egress_denied_by")


@case("an allowed lookup and the connection after it: names, answer, latency, rule, is_reply present")
def allowed(_lab, gate):
    flow = one(gate, (8, "www.allowed.example"), (5, FORWARDED))
    equal((flow.texts(14), flow.text(5, 2), flow.text(21001, 1)), (["www.allowed.example"], "93.184.216.34", "agent"), "flow")
    true(flow.has(26) and flow(26, 1) == 0, "is_reply false")
    answer = one(gate, (18, r"^www\.allowed\.example\.$"), (15, 1))
    equal((answer(15, 1), sorted(answer.texts(15, 100, 2))), (RESPONSE, ["93.184.216.34", "93.184.216.35"]), "answer")
    true(answer(15, 2) > 0, "latency_ns")


@case("filters: what the stock command line and UI send")
def filters(lab, gate):
    pod, hubble, everything = lab.sandbox.host_if, gate.hubble, gate.hubble.flows((1, 2**64 - 1))
    either = [make(pod) for make in EITHER_POD]
    equal(len(hubble.flows((1, 1000), *either)), len(everything), "--pod matches all flows of the only sandbox")
    equal(hubble.flows((1, 1000), *[make("other/") for make in EITHER_POD]), [], "another namespace")
    equal(len(hubble.flows((1, 1), *either)), 1, "--last 1")
    first = hubble.flows((1, 1), (9, 1))
    equal(first[0].text(34), everything[0].text(34), "--first 1 is the oldest")
    for fields, wanted in (([(5, DROPPED), (8, "*.example.org")], 1), ([(14, "80")], 1), ([(3, "203.0.113.0/24")], 1),
                           ([(12, "dns"), (5, DROPPED)], 1), ([(6, encode((1, 129)))], 3), ([(33, POLICY_DENY)], 1),
                           ([(10, "k8s:app=" + pod), (5, DROPPED), (8, "other.*")], 1)):
        equal(len({flow.text(34) for flow in hubble.flows((1, 1000), whitelist(*fields))} - noise(everything)), wanted, fields)
    ui = [(3, 0), (1, 10000), whitelist((15, 0), (2, "default/")), whitelist((15, 0), (4, "default/")),
          *[blacklist((number, "reserved:unknown")) for number in (10, 11)], blacklist((7, "*.cluster.local*")),
          blacklist((8, "*.cluster.local*")), blacklist((10, "k8s:k8s-app=kube-dns")),
          blacklist((11, "k8s:k8s-app=kube-dns"), (14, "53"))]
    names = {name for flow in hubble.flows(*ui) for name in flow.texts(14)}
    equal(names, {"other.example.org", "www.allowed.example"}, "names that the UI draws")


def noise(flows):
    """What a Linux sandbox sends by itself (multicast listener reports and the like)."""
    return {flow.text(34) for flow in flows if flow.text(5, 2).startswith(("ff02:", "fe80:"))}


@case("masks are obeyed; the one of the stock compact output brings names all the same; times and ids are unique")
def masks(_lab, gate):
    flow = gate.hubble.flows((1, 1), whitelist((8, "other.*")), (10, encode((1, "verdict"), (1, "source.pod_name"))))[0]
    equal(sorted(flow.fields), [2, 8], "fields")
    mask = 10, encode(*[(1, path) for path in PRINTER_MASK])
    flow = gate.hubble.flows((1, 1), whitelist((8, "other.*")), mask)[0]
    equal((flow.texts(14), flow(22), flow.has(34)), (["other.example.org"], EGRESS, False), "names, direction, no uuid")
    flows = gate.hubble.flows((1, 1000))
    equal(len({flow(1) for flow in flows}), len(flows), "times")
    equal(len({flow.text(34) for flow in flows}), len(flows), "uuids")


@case("what cannot be honoured is refused by name")
def refused(_lab, gate):
    for fields, word in (((whitelist((22, "/")),), "http_path"), ((whitelist((999, encode((1, "true")))),), "cel_expression"),
                         ((whitelist((888, 1)),), "888"), (((3, 1), (9, 1)), "first"), ((whitelist((18, "(")),), "dns_query"),
                         (((10, encode((1, "nonsense"))),), "field_mask")):
        try:
            gate.hubble.flows(*fields)
            raise AssertionError(f"{word}: answered")
        except grpc.RpcError as error:
            equal(error.code(), grpc.StatusCode.INVALID_ARGUMENT, word)
            true(word in error.details(), error.details())


@case("following brings what happens, as it happens")
def follow(lab, gate):
    stream = gate.hubble.stream((3, 1), (1, 1), whitelist((8, "*.example.org")))
    equal(Message(Message(next(stream))(1)).texts(14), ["other.example.org"], "the last one first")
    began = time.monotonic()
    ask(lab.sandbox.ns, "8.8.8.8", "fresh.example.org")
    equal(Message(Message(next(stream))(1)).texts(14), ["fresh.example.org"], "the new one")
    took = time.monotonic() - began
    stream.cancel()
    true(took < 2, f"{took:.1f} s")
    return f"after {took * 1000:.0f} ms"


@case("more than the rate of a sandbox: what is not a flow is counted in a lost event")
def losses(lab, gate):
    packets, cpus = 3000, os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})  # the kernel tells of what a CPU left out with that CPU's next event
    try:
        # Since 1970: the call may reach the server after the first packets.
        stream = gate.hubble.stream((3, 1), (7, b""), whitelist((3, "198.18.1.1")), timeout=20)
        next_of = (Message(data) for data in stream)
        with lab.sandbox.ns.socket(kind=socket.SOCK_DGRAM) as sender:
            for _ in range(packets - 1):
                sender.sendto(b"x", ("198.18.1.1", 9999))
            time.sleep(1.1)  # the next second of the rate
            sender.sendto(b"x", ("198.18.1.1", 9999))
        flows = lost = 0
        while flows + lost < packets:
            response = next(next_of)
            flows += response.has(1)
            lost += response(3, 2)
            true(not response.has(3) or response(3, 1) == 1, "the loss is of the kernel's events")
    finally:
        os.sched_setaffinity(0, cpus)
        stream.cancel()
    true(lost > 0 and flows > 400 and flows + lost < packets + 100, f"{flows} flows, {lost} lost")
    return f"{flows} flows and {lost} lost of {packets} packets"


@case("the observer has no capability, is nobody, and its socket is root's")
def privileges(_lab, gate):
    pid = gate.daemons["postern-observer"].pid
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status", encoding="ascii") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        equal([int(status[key], 16) for key in ("CapEff", "CapPrm", "CapInh", "CapAmb")], [0] * 4, "capabilities")
        equal((status["NoNewPrivs"], status["Uid"].split()), ("1", ["65534"] * 4), "no_new_privs and user")
    mode = os.stat(gate.observer_socket)
    equal((mode.st_mode & 0o777, mode.st_uid), (0o660, 0), "the socket")


@case("posternd and postern-dns killed and started again: flows come again, named as before")
def peers_die(lab, gate):
    for name, start in (("posternd", gate.start_posternd), ("postern-dns", lambda: (gate.start_dns(), gate.setup()))):
        gate.daemons[name].kill()
        start()
    address = iter(range(1, 250))

    def dropped_again():
        lab.sandbox.connect(f"198.18.0.{next(address)}", 443, timeout=0.1)
        flows = gate.hubble.flows((1, 1), whitelist((3, "198.18.0.0/24")))
        return flows and flows[0].text(8, 5) == lab.sandbox.host_if
    wait_until(dropped_again, "packets as flows after posternd's restart", 10)
    count = iter(range(1, 250))

    def denied_again():
        ask(lab.sandbox.ns, "8.8.8.8", f"n{next(count)}.again.example", timeout=0.2)
        return gate.hubble.flows((1, 1), whitelist((8, "*.again.example")))
    wait_until(denied_again, "questions as flows after postern-dns' restart", 20)


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE))
