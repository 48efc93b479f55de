# SPDX-License-Identifier: Apache-2.0
"""A DNS client that hides nothing: one question, one message, every bit of the answer to look at."""
import random
import socket
import struct

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "HTTPS": 65,
         "ANY": 255}
TYPE_NAMES = {number: name for name, number in TYPES.items()}
RCODES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"]
OPT = 41
EDE = 15  # option code of extended DNS errors, RFC 8914


def wire_name(name):
    labels = [label for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode("latin-1") for label in labels) + b"\0"


def build_query(name, kind="A", *, edns=None, ident=None, flags=0x0100):
    """A query in wire form. edns: the UDP size to announce, or None for no OPT record."""
    ident = random.randrange(65536) if ident is None else ident
    number = TYPES[kind] if isinstance(kind, str) else kind
    message = struct.pack("!6H", ident, flags, 1, 0, 0, 1 if edns else 0) + wire_name(name) + struct.pack("!2H", number, 1)
    if edns:
        message += b"\0" + struct.pack("!2HIH", OPT, edns, 0, 0)
    return message


class Record:
    def __init__(self, name, kind, ttl, data):
        self.name, self.kind, self.ttl, self.data = name, kind, ttl, data

    def __repr__(self):
        return f"{self.name} {self.ttl} {self.kind} {self.data}"


class Answer:
    """A parsed message. addresses, rcode and ede are what most tests look at."""

    def __init__(self, message):
        self.size = len(message)
        self.ident, self.flags, *counts = struct.unpack_from("!6H", message)
        self.rcode = RCODES[self.flags & 15] if self.flags & 15 < len(RCODES) else str(self.flags & 15)
        self.truncated = bool(self.flags & 0x0200)
        self.edns, self.ede = None, None
        self._message, self._at = message, 12
        self.questions = [(self._name(), *self._take("!2H")) for _ in range(counts[0])]
        self.answers, self.authority, self.additional = ([self._record() for _ in range(n)] for n in counts[1:])
        self.additional = [record for record in self.additional if record.kind != "OPT"]
        assert self._at == len(message), f"{len(message) - self._at} bytes after the last record"

    @property
    def addresses(self):
        return [record.data for record in self.answers if record.kind in ("A", "AAAA")]

    def _take(self, form):
        values = struct.unpack_from(form, self._message, self._at)
        self._at += struct.calcsize(form)
        return values

    def _name(self):
        labels, at, jumped = [], self._at, False
        while (length := self._message[at]) != 0:
            if length >= 0xC0:
                if not jumped:
                    self._at = at + 2
                at, jumped = struct.unpack_from("!H", self._message, at)[0] & 0x3FFF, True
                continue
            labels.append(self._message[at + 1:at + 1 + length].decode("latin-1"))
            at += 1 + length
        if not jumped:
            self._at = at + 1
        return ".".join(labels) or "."

    def _record(self):
        name = self._name()
        number, klass, ttl, length = self._take("!2HIH")
        end = self._at + length
        kind = TYPE_NAMES.get(number, str(number))
        if number == OPT:
            kind, self.edns, data = "OPT", klass, self._options(end)
        elif number == 1:
            data = socket.inet_ntop(socket.AF_INET, self._message[self._at:end])
        elif number == 28:
            data = socket.inet_ntop(socket.AF_INET6, self._message[self._at:end])
        elif number in (2, 5, 12, 6):
            data = self._name()
        else:
            data = self._message[self._at:end]
        self._at = end
        return Record(name, kind, ttl, data)

    def _options(self, end):
        while self._at + 4 <= end:
            code, length = self._take("!2H")
            value = self._message[self._at:self._at + length]
            self._at += length
            if code == EDE:
                self.ede = (struct.unpack("!H", value[:2])[0], value[2:].decode("utf-8", "replace"))

    def __repr__(self):
        return f"{self.rcode} {self.answers} authority {self.authority} ede {self.ede}{' TC' if self.truncated else ''}"


def parse_answer(message):
    return Answer(message)


def ask(namespace, server, name, kind="A", *, edns=None, timeout=2.0, source=None, port=53):
    """One question by UDP from a namespace. None: no answer in time. The answer must come from who was asked."""
    query = build_query(name, kind, edns=edns)
    with namespace.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout)
        if source:
            client.bind((source, 0))
        # connect: an answer that comes from another address than the asked one is not received.
        client.connect(socket_address(server, port))
        client.send(query)
        try:
            message = client.recv(65535)
        except (TimeoutError, ConnectionRefusedError):
            return None
    assert message[:2] == query[:2], "the answer has another id"
    return Answer(message)


def socket_address(server, port):
    """What connect takes; a link-local IPv6 address may end with % and its interface's index."""
    address, _, scope = server.partition("%")
    return (address, port, 0, int(scope or 0)) if ":" in address else (address, port)


def read_exactly(stream, size):
    data = b""
    while len(data) < size:
        part = stream.recv(size - len(data))
        if not part:
            raise ConnectionError("the server closed the connection")
        data += part
    return data


def ask_tcp(namespace, server, questions, *, timeout=2.0, port=53):
    """Questions (name, type) over one TCP connection, all sent before the first answer is read."""
    with namespace.socket(socket.AF_INET6 if ":" in server else socket.AF_INET) as client:
        client.settimeout(timeout)
        client.connect(socket_address(server, port))
        queries = [build_query(name, kind) for name, kind in questions]
        client.sendall(b"".join(struct.pack("!H", len(query)) + query for query in queries))
        answers = {}
        for _ in queries:
            message = read_exactly(client, struct.unpack("!H", read_exactly(client, 2))[0])
            answers[message[:2]] = Answer(message)
        return [answers[query[:2]] for query in queries]
