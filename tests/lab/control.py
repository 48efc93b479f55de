# SPDX-License-Identifier: Apache-2.0
"""posternd's control socket without a process per command, for tests that reload thousands of times."""
import socket
import struct

from .commands import CommandFailed

MAGIC, REQUEST, REPLY = 0x50535431, 1, 2  # base/channel.cpp and api/control.h
STATUS = b"\x0a\x00"                      # ControlRequest{status: {}}
RELOAD = b"\x12\x00"                      # ControlRequest{reload: {}}
ERROR, DETAILS, STATUS_REPLY, RELOAD_REPLY = 1, 2, 3, 4
RELOAD_GENERATION, STATUS_GENERATION = 1, 3


class Control:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(60)
        self.socket.connect(path)

    def close(self):
        self.socket.close()

    def reload(self):
        """Returns the generation once every sandbox is under the folder's policies; CommandFailed if a file is wrong."""
        return fields_of(self._ask(RELOAD)[RELOAD_REPLY][0]).get(RELOAD_GENERATION, [0])[0]

    def generation(self):
        """The generation in force."""
        return fields_of(self._ask(STATUS)[STATUS_REPLY][0]).get(STATUS_GENERATION, [0])[0]

    def _ask(self, request):
        self.socket.send(struct.pack("=4I", MAGIC, REQUEST, len(request), 0) + request)
        message = self.socket.recv(1 << 20)
        if len(message) < 16:
            raise CommandFailed("posternd closed the connection")
        magic, kind, length, _flags = struct.unpack_from("=4I", message)
        assert (magic, kind, length) == (MAGIC, REPLY, len(message) - 16)
        reply = fields_of(message[16:])
        if ERROR in reply:
            raise CommandFailed(b"\n".join(reply[ERROR] + reply.get(DETAILS, [])).decode())
        return reply


def fields_of(body):
    """{field number: [values]} of a protobuf message that has only varints and byte strings."""
    fields, at = {}, 0

    def varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = body[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(body):
        tag = varint()
        value = varint()
        if tag & 7 == 2:
            value, at = body[at:at + value], at + value
        elif tag & 7 != 0:
            raise ValueError(f"wire type {tag & 7}")
        fields.setdefault(tag >> 3, []).append(value)
    return fields
