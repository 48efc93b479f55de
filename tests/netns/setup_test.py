#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""postern-setup for real: the steering namespace, its sockets, and postern-dns behind them.

Runs itself in a private network and mount namespace (an empty /run, no bpffs), so that nothing it does
is seen outside. Part one plays postern-dns, to look at every socket; part two runs the real one.
Needs root; exit status 77 without it, which is a failure where CI is set.
"""
import argparse
import array
import contextlib
import fcntl
import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from steering_frames import TcpClient, Wire  # noqa: E402

MAGIC = 0x50535431
HELLO_SETUP, HELLO_AGENT, STEERING, NO_STEERING, FEED = 1, 2, 4, 5, 6
FEED_PUT, KIND_SANDBOX = 1, 4
SOCKETS_PER_WORKER = 4  # UDP IPv4, UDP IPv6, TCP IPv4, TCP IPv6
SO_RCVMARK, IP_PKTINFO, IP_TRANSPARENT, IPV6_TRANSPARENT = 75, 8, 19, 75
SIOCGSKNS = 0x894C
NOBODY = 65534
LINK = "postern-steer"
DNS_SOCKET = "/run/postern/dns.sock"
TARGETS = ("8.8.8.8", "10.77.0.1", "169.254.20.10", "10.96.0.10", "127.0.0.53",
           "2001:4860:4860::8888", "fd77::1", "fe80::53")
# A sandbox's id is any number; those with the highest bit would go wrong with signed arithmetic.
SANDBOXES = (1, 2, 3, 7, 0x7FFFFFFF, 0x80000001, 0xFFFFFFFE, 0xFFFFFFFF)

failures = []
checks = 0


def check(good, what):
    global checks
    checks += 1
    if not good:
        failures.append(what)
        print(f"FAILED: {what}", flush=True)


def wait_for(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not (result := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return result


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def link_exists(name=LINK):
    return os.path.isdir(f"/proc/sys/net/ipv4/conf/{name}")


class Programs:
    """folder: shown below our own /run, where other users may run them too: a checkout may lie in a folder of root's alone."""

    def __init__(self, folder):
        self.folder = "/run/programs"
        os.makedirs(self.folder)
        output("mount", "--bind", folder, self.folder)
        self.running = []

    def setup(self, *arguments, user=None, timeout=30):
        command = [f"{self.folder}/postern-setup", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, user=user)
        return done.returncode, done.stderr

    def start(self, program, *arguments):
        """Its stderr goes to a file: children that it leaves behind must not keep a pipe open."""
        log = tempfile.TemporaryFile("w+")
        process = subprocess.Popen([f"{self.folder}/{program}", *arguments], stderr=log, stdout=log)
        process.log = log
        self.running.append(process)
        return process

    def finish(self, process, timeout=20):
        """Waits for its end. @return exit status and what it said."""
        status = process.wait(timeout=timeout)
        self.running.remove(process)
        process.log.seek(0)
        return status, process.log.read()

    def start_dns(self):
        process = self.start("postern-dns", "--socket", DNS_SOCKET)
        check(wait_for(lambda: os.path.exists(DNS_SOCKET)), "postern-dns opens its socket")
        return process

    def stop(self, process, signal="terminate"):
        getattr(process, signal)()
        return self.finish(process)

    def stop_all(self):
        for process in list(self.running):
            self.stop(process, "kill")


def send(connection, kind, body=b"", fds=()):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    connection.sendmsg([struct.pack("=IIII", MAGIC, kind, len(body), 0), body], rights)


def receive(connection):
    data, control, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(250 * 4))
    fds = array.array("i")
    for level, kind, part in control:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(part[:len(part) - len(part) % fds.itemsize])
    return (struct.unpack_from("=I", data, 4)[0] if data else None), data[16:], list(fds)


class Steering:
    """The body of kSteering (api/dns_feed.h) and the sockets that came with it."""

    def __init__(self, body, fds):
        self.body = body
        self.workers, self.node_ifindex, self.peer_mac, self.created = struct.unpack("=II6s2xQ", body)
        self.sockets = [socket.socket(fileno=fd) for fd in fds]

    def of(self, kind, family):
        first = (0 if kind == "udp" else 2) + (1 if family == 6 else 0)
        return self.sockets[first::SOCKETS_PER_WORKER]

    def close(self):
        for each in self.sockets:
            each.close()


class FakeKeeper:
    """Greets postern-setup as postern-dns does, and keeps what it brings."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(path)
        self.listener.listen(4)

    def serve(self, take=True):
        """One connection of postern-setup, to its end. @return what it brought, or None."""
        self.listener.settimeout(10)
        connection, _ = self.listener.accept()
        connection.settimeout(10)
        steering = None
        while True:
            kind, body, fds = receive(connection)
            if kind is None:
                return steering
            if kind == STEERING and take:
                steering = Steering(body, fds)
            elif kind == STEERING:
                Steering(body, fds).close()
            elif kind == HELLO_SETUP and steering is None:
                send(connection, NO_STEERING)
            elif kind == HELLO_SETUP:
                send(connection, STEERING, steering.body)

    def close(self):
        self.listener.close()


def node_state():
    """What of the node's namespace postern-setup must not touch."""
    commands = (["ip", "rule"], ["ip", "-6", "rule"], ["ip", "route", "show", "table", "all"],
                ["ip", "-6", "route", "show", "table", "all"], ["ip", "neigh"], ["ss", "-Hlntu"], ["nft", "list", "ruleset"])
    return {" ".join(command): output(*command) for command in commands}


def family_of(address):
    return 6 if ":" in address else 4


def client_of(target, sandbox):
    """The address of a sandbox that asks there: each has its own."""
    host = sandbox % 199 + 2
    if target.startswith("fe80"):
        return f"fe80::77:{host:x}"
    return f"10.77.0.{host}" if family_of(target) == 4 else f"fd77::{host:x}"


def ready(sockets, seconds=2.0):
    """Indices of the sockets that have something."""
    found = select.select(sockets, [], [], seconds)[0]
    return [sockets.index(each) for each in found]


def read_datagram(sock):
    data, control, _, origin = sock.recvmsg(2048, 256)
    mark = asked = None
    for level, kind, part in control:
        if level == socket.SOL_SOCKET and kind == socket.SO_MARK:
            mark = struct.unpack("=I", part)[0]
        elif level == socket.IPPROTO_IP and kind == IP_PKTINFO:
            asked = socket.inet_ntop(socket.AF_INET, part[8:12])
        elif level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            asked = socket.inet_ntop(socket.AF_INET6, part[:16])
    return data, mark, asked, origin


def answer_datagram(sock, asked, origin, data):
    """As dnsproxy/udp_listener.cpp: from the address that was asked."""
    if sock.family == socket.AF_INET:
        info = (socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=i4s4s", 0, socket.inet_aton(asked), b"\0" * 4))
    else:
        info = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, socket.inet_pton(socket.AF_INET6, asked) + struct.pack("=i", origin[3]))
    sock.sendmsg([data], [info], 0, origin)


def check_udp(wire, steering, node_mac, sandbox, target, port):
    sockets = steering.of("udp", family_of(target))
    client, asked = (client_of(target, sandbox), port), (target, 53)
    what = f"UDP to {target} of sandbox {sandbox:#x}"
    wire.send_udp(sandbox, client, asked, b"question")
    got = ready(sockets)
    check(got == [sandbox % steering.workers], f"{what}: worker {sandbox % steering.workers} gets it, not {got}")
    if not got:
        return
    data, mark, address, origin = read_datagram(sockets[got[0]])
    check((data, mark, address, origin[:2]) == (b"question", sandbox, target, client), f"{what}: {data} {mark} {address} {origin}")
    answer_datagram(sockets[got[0]], address, origin, b"answer")
    answer = wire.receive("udp", client, asked)
    check(answer is not None and answer.data == b"answer", f"{what}: the answer leaves with the address that was asked")
    check(answer is None or answer.target_mac != node_mac, f"{what}: the answer is addressed to the node itself")


def check_tcp(wire, steering, sandbox, target, port):
    sockets = steering.of("tcp", family_of(target))
    what = f"TCP to {target} of sandbox {sandbox:#x}"
    connection = TcpClient(wire, sandbox, (client_of(target, sandbox), port), (target, 53))
    if not connection.connect():
        check(False, f"{what}: no handshake")
        return
    got = ready(sockets)
    check(got == [sandbox % steering.workers], f"{what}: worker {sandbox % steering.workers} gets it, not {got}")
    if not got:
        return
    accepted, origin = sockets[got[0]].accept()
    with accepted:
        accepted.settimeout(2)
        check(accepted.getsockopt(socket.SOL_SOCKET, socket.SO_MARK) & 0xFFFFFFFF == sandbox, f"{what}: the connection's mark")
        check(accepted.getsockname()[:2] == (target, 53) and origin[:2] == (client_of(target, sandbox), port),
              f"{what}: {accepted.getsockname()} {origin}")
        connection.send(b"question")
        check(accepted.recv(100) == b"question", f"{what}: data arrives")
        accepted.send(b"answer")
        check(connection.receive() == b"answer", f"{what}: the answer arrives")
        connection.reset()


def check_sockets(steering, workers):
    check(steering.workers == workers, f"{steering.workers} workers")
    check(len(steering.sockets) == workers * SOCKETS_PER_WORKER, f"{len(steering.sockets)} sockets")
    order = [(socket.AF_INET, socket.SOCK_DGRAM), (socket.AF_INET6, socket.SOCK_DGRAM),
             (socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET6, socket.SOCK_STREAM)]
    for index, sock in enumerate(steering.sockets):
        what = f"socket {index}"
        check((sock.family, sock.type) == order[index % SOCKETS_PER_WORKER], f"{what}: its place in the order")
        check(sock.getsockname()[1] == 53, f"{what}: {sock.getsockname()}")
        check(os.get_blocking(sock.fileno()) is False, f"{what}: does not block")
        v4 = sock.family == socket.AF_INET
        wanted = [(socket.SOL_SOCKET, socket.SO_REUSEADDR), (socket.SOL_SOCKET, socket.SO_REUSEPORT),
                  (socket.IPPROTO_IP, IP_TRANSPARENT) if v4 else (socket.IPPROTO_IPV6, IPV6_TRANSPARENT)]
        if not v4:
            wanted.append((socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))
        if sock.type == socket.SOCK_STREAM:
            wanted.append((socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        else:
            wanted.append((socket.SOL_SOCKET, SO_RCVMARK))
            wanted.append((socket.IPPROTO_IP, IP_PKTINFO) if v4 else (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO))
            check(sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 1 << 20, f"{what}: room for a burst")
        for level, option in wanted:
            check(sock.getsockopt(level, option) == 1, f"{what}: option {option} of level {level}")


def check_link(name):
    shown = output("ip", "-d", "link", "show", name)
    flags = re.search(r"<([^>]*)>", shown).group(1).split(",")
    check("UP" in flags and "NOARP" in flags and "LOWER_UP" in flags, f"the link is up and without ARP: {flags}")
    check("veth" in shown and "mtu 65535" in shown, f"the link is a veth of the largest MTU: {shown}")
    check(output("ip", "-br", "addr", "show", name).split()[2:] == [], "the node's end has no address")
    with open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", encoding="ascii") as file:
        check(file.read().strip() == "1", "the node's end has no IPv6")
    return bytes.fromhex(re.search(r"link/ether ([0-9a-f:]+)", shown).group(1).replace(":", ""))


def frames_out(name):
    """Frames that came out of the steering namespace so far."""
    return json.loads(output("ip", "-s", "-j", "link", "show", name))[0]["stats64"]["rx"]["packets"]


def output_inside(steering, *command):
    """The command's output in the steering namespace: it has no name, but its sockets know it."""
    netns = fcntl.ioctl(steering.sockets[0].fileno(), SIOCGSKNS)
    try:
        return subprocess.run(["nsenter", f"--net=/proc/self/fd/{netns}", *command], check=True, capture_output=True,
                              text=True, pass_fds=[netns]).stdout
    finally:
        os.close(netns)


def check_inside(steering):
    """After packets of many sandboxes: nothing has grown with them."""
    for family in ("-4", "-6"):
        entries = [line for line in output_inside(steering, "ip", family, "neigh", "show", "nud", "all", "dev", "steer").splitlines()
                   if not line.startswith("ff02:")]
        check(len(entries) == 1, f"one neighbour for all sandboxes: {entries}")
        check(output_inside(steering, "ip", family, "-br", "addr", "show", "dev", "steer").split()[2:] == [], f"no address of its own {family}")
        local = output_inside(steering, "ip", family, "route", "show", "table", "53")
        check("local default dev lo" in local, f"everything is local: {local}")
    check(output_inside(steering, "nft", "list", "ruleset") == "", "no netfilter rule")
    check(output_inside(steering, "cat", "/proc/sys/net/ipv4/ip_forward").strip() == "0", "nothing is forwarded")


def test_steering(programs):
    """Every socket, seen from inside: options, order, the choice of the worker, the way back."""
    os.makedirs("/run/fake", exist_ok=True)
    before = node_state()
    keeper = FakeKeeper("/run/fake/dns.sock")
    process = programs.start("postern-setup", "--dns-socket", "/run/fake/dns.sock", "--workers", "3", "--link-name", "steer-fake")
    steering = keeper.serve()
    status, text = programs.finish(process)
    check(status == 0, f"postern-setup succeeds: {text}")
    check(node_state() == before, "rules, routes, neighbours, ports and netfilter of the node are as they were")
    check(steering.node_ifindex == socket.if_nametoindex("steer-fake"), "it names the link's index")
    check_sockets(steering, 3)
    node_mac = check_link("steer-fake")
    wire = Wire("steer-fake", steering.peer_mac)
    check(wait_for(lambda: frames_out("steer-fake"), 0.5) == 0, "nothing comes out by itself")
    port = 20000
    for sandbox in SANDBOXES:
        for target in TARGETS:
            port += 1
            check_udp(wire, steering, node_mac, sandbox, target, port)
            check_tcp(wire, steering, sandbox, target, port)
    for family, target in ((4, "8.8.8.8"), (6, "fd77::1")):
        wire.send_udp(1, (client_of(target, 1), 9), (target, 53), b"not steered", prefix=b"\x02\x51")
        check(ready(steering.of("udp", family), 0.2) == [], "a frame without a sandbox's id is dropped")
        wire.send_udp(1, (client_of(target, 1), 9), (target, 54), b"another port")
        check(ready(steering.of("udp", family), 0.2) == [], "nobody listens on another port")
    test_node_stays_out(wire, steering)
    check_inside(steering)
    wire.close()
    steering.close()
    keeper.close()
    check(wait_for(lambda: not link_exists("steer-fake")), "with the last socket the namespace and the link go")


def test_node_stays_out(wire, steering):
    """An answer to an address of the node's own is not taken by the node: only the gate moves it on."""
    output("ip", "link", "set", "lo", "up")
    output("ip", "addr", "add", "10.77.0.2/32", "dev", "lo")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("10.77.0.2", 4000))
        wire.send_udp(5, ("10.77.0.2", 4000), ("8.8.8.8", 53), b"question")
        sockets = steering.of("udp", 4)
        got = ready(sockets)
        if got:
            _, _, asked, origin = read_datagram(sockets[got[0]])
            answer_datagram(sockets[got[0]], asked, origin, b"answer")
        check(got and wire.receive("udp", ("10.77.0.2", 4000), ("8.8.8.8", 53)) is not None, "the answer reaches the link")
        check(ready([own], 0.2) == [], "the node's own stack takes nothing from the link")
    output("ip", "addr", "del", "10.77.0.2/32", "dev", "lo")
    output("ip", "link", "set", "lo", "down")


def test_refusals(programs):
    """Each failure: a message that says what to do, exit status not 0, and nothing left."""
    status, text = programs.setup("--wait", "0")
    check(status == 1 and "postern-dns" in text and "start it" in text, f"without postern-dns: {status} {text}")
    check(os.stat("/run/postern").st_mode & 0o777 == 0o755, "it makes /run/postern")
    status, text = programs.setup("--wait", "0", user=NOBODY)
    check(status == 1 and "root" in text, f"without root: {status} {text}")
    for wrong in (["--workers", "0"], ["--workers", "33"], ["--link-name", "a/b"], ["--link-name", "sixteen-letters-"], ["--wait", "-1"]):
        check(programs.setup(*wrong)[0] not in (0, 1), f"{wrong} is refused")
    status, text = programs.setup("--log-level", "loud")
    check(status == 1 and "loud" in text, f"a wrong log level: {status} {text}")

    keeper = FakeKeeper("/run/fake/refusing.sock")
    process = programs.start("postern-setup", "--dns-socket", "/run/fake/refusing.sock")
    keeper.serve(take=False)
    status, text = programs.finish(process)
    check(status == 1 and "did not take" in text, f"sockets that are not taken: {status} {text}")
    check(not link_exists(), "a failure leaves no link")
    keeper.close()


def test_link_taken(programs):
    output("ip", "link", "add", LINK, "type", "bridge")
    before = output("ip", "-d", "link", "show", LINK)
    status, text = programs.setup("--wait", "0")
    check(status == 1 and LINK in text and "--link-name" in text, f"a link of somebody else's: {status} {text}")
    check(output("ip", "-d", "link", "show", LINK) == before, "it is left alone")
    output("ip", "link", "del", LINK)


class Agent:
    """Connects as posternd does."""

    def __init__(self):
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.connection.settimeout(10)
        self.connection.connect(DNS_SOCKET)
        send(self.connection, HELLO_AGENT)
        kind, body, fds = receive(self.connection)
        self.steering = Steering(body, fds) if kind == STEERING else None

    def feed_sandbox(self, sandbox, worker):
        """A sandbox without a policy yet: its worker answers SERVFAIL. /dev/null stands for its grants."""
        body = struct.pack("=HHIQ", FEED_PUT, KIND_SANDBOX, worker, sandbox) + b"\x08" + bytes([sandbox])
        with open("/dev/null", "rb") as null:
            send(self.connection, FEED, body, [null.fileno()])

    def sync(self, workers):
        """Returns when every worker has taken what was fed: a query may not overtake it."""
        every_worker, feed_sync, ack = 0xFFFFFFFF, 3, 7
        send(self.connection, FEED, struct.pack("=HHIQ", feed_sync, 1, every_worker, 1))
        for _ in range(workers):
            kind, _, _ = receive(self.connection)
            check(kind == ack, f"a worker acknowledges what it was fed: {kind}")

    def give(self, steering):
        send(self.connection, STEERING, steering.body, [each.fileno() for each in steering.sockets])

    def close(self):
        self.connection.close()


QUERY = struct.pack("!HHHHHH", 0x1234, 0x0100, 1, 0, 0, 0) + b"\x07example\x03com\x00" + struct.pack("!HH", 1, 1)


def is_servfail(data):
    return data is not None and data[:2] == b"\x12\x34" and data[2] & 0x80 and data[3] & 0x0F == 2


def test_real(programs):
    """postern-dns behind it: a sandbox's query is answered by the worker that owns it, and by no other."""
    dns = programs.start_dns()
    status, text = programs.setup("--workers", "2")
    check(status == 0, f"postern-setup succeeds: {status} {text}")
    check_link(LINK)
    workers = output("pgrep", "-P", str(dns.pid)).split()
    check(len(workers) == 2, f"the keeper has 2 workers: {workers}")
    ifindex = socket.if_nametoindex(LINK)
    status, text = programs.setup("--workers", "2")
    check(status == 0 and "already" in text and LINK in text, f"again: {status} {text}")
    check(socket.if_nametoindex(LINK) == ifindex, "the second run changed nothing")

    agent = Agent()
    check_sockets(agent.steering, 2)
    wire = Wire(LINK, agent.steering.peer_mac)
    agent.feed_sandbox(7, 1)
    agent.feed_sandbox(8, 1)  # not its owner: what arrives at worker 0 finds nobody
    agent.sync(2)
    for port, target in enumerate(TARGETS, 30000):
        client = (client_of(target, 7), port)
        wire.send_udp(7, client, (target, 53), QUERY)
        answer = wire.receive("udp", client, (target, 53))
        check(answer is not None and is_servfail(answer.data), f"UDP to {target} is answered")
        connection = TcpClient(wire, 7, client, (target, 53))
        check(connection.connect(), f"TCP to {target}: no handshake")
        connection.send(struct.pack("!H", len(QUERY)) + QUERY)
        answer = connection.receive()
        check(answer is not None and is_servfail(answer[2:]), f"TCP to {target} is answered")
        connection.reset()
    wire.send_udp(8, ("10.77.0.3", 999), ("8.8.8.8", 53), QUERY)
    check(wire.receive("udp", ("10.77.0.3", 999), ("8.8.8.8", 53), 0.5) is None, "another worker does not answer for it")
    wire.close()
    test_successor(programs, dns, agent)


def test_successor(programs, dns, agent):
    """postern-dns starts again while posternd keeps its sockets: posternd's are waited for, none are made."""
    steering = agent.steering
    programs.stop(dns)
    agent.close()
    check(link_exists(), "the link lives as long as anybody holds a socket")
    os.unlink(DNS_SOCKET) if os.path.exists(DNS_SOCKET) else None
    dns = programs.start_dns()
    status, text = programs.setup("--wait", "0")
    check(status == 1 and "posternd" in text, f"a link that somebody holds: {status} {text}")
    waiting = programs.start("postern-setup", "--wait", "10")
    time.sleep(0.1)
    check(waiting.poll() is None, "it waits for posternd to hand its sockets on")
    agent = Agent()
    check(agent.steering is None, "the new postern-dns has none yet")
    agent.give(steering)
    status, text = programs.finish(waiting)
    check(status == 0 and "already" in text, f"it is content with them: {status} {text}")

    output("ip", "link", "del", LINK)
    status, text = programs.setup("--wait", "0")
    check(status == 1 and "was removed" in text, f"sockets whose link is gone: {status} {text}")
    agent.close()
    steering.close()
    programs.stop(dns)


def test_end(programs):
    """The ordinary life: started before postern-dns, one worker a CPU, and nothing left at the end."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(DNS_SOCKET)
    setup = programs.start("postern-setup")
    time.sleep(0.1)
    dns = programs.start_dns()
    status, text = programs.finish(setup)
    check(status == 0, f"it waits for postern-dns to come up: {status} {text}")
    workers = output("pgrep", "-P", str(dns.pid)).split()
    check(len(workers) == min(os.cpu_count(), 32), f"one worker a CPU: {workers}")
    check(link_exists(), "the link is there")
    programs.stop(dns)
    check(wait_for(lambda: not link_exists()), "with postern-dns the namespace and the link go")


def inside(arguments):
    output("mount", "-t", "tmpfs", "none", "/run")
    with contextlib.suppress(subprocess.CalledProcessError):
        output("umount", "/sys/fs/bpf")
    os.makedirs("/run/fake")
    programs = Programs(arguments.bin)
    try:
        test_refusals(programs)
        check("bpf /sys/fs/bpf" in open("/proc/self/mounts", encoding="utf-8").read(), "it mounts bpffs")
        test_steering(programs)
        dns = programs.start_dns()
        test_link_taken(programs)
        programs.stop(dns)
        os.unlink(DNS_SOCKET)
        test_real(programs)
        test_end(programs)
    finally:
        programs.stop_all()
    print(f"postern-setup: {checks} checks, {len(failures)} failed")
    return 1 if failures else 0


def run_inside(script, folder):
    """Runs a script again in namespaces of its own. With its processes in one too, nothing that a failed test
    leaves behind outlives it."""
    command = ["unshare", "--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc",
               sys.executable, script, "--inside", "--bin", os.path.abspath(folder)]
    return subprocess.run(command, check=False, timeout=120).returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.environ.get("POSTERN_BIN", "build/dev/bin"), help="folder of postern-setup and postern-dns")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root for network namespaces")
        return 1 if os.environ.get("CI") else 77
    if not arguments.inside:
        return run_inside(os.path.abspath(__file__), arguments.bin)
    return inside(arguments)


if __name__ == "__main__":
    sys.exit(main())
