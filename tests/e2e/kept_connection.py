# SPDX-License-Identifier: Apache-2.0
"""One TLS connection out of a pod that asks again and again: does a change cut it?"""
from lab.commands import Daemon, wait_until

CODE = """
import socket, ssl, sys, time
tls = ssl.create_default_context(cafile='/ca/ca.pem')
peer = tls.wrap_socket(socket.create_connection(({name!r}, 443), timeout=5), server_hostname={name!r})
peer.settimeout(5)
while True:
    peer.sendall(b'HEAD / HTTP/1.1\\r\\nHost: {name}\\r\\n\\r\\n')
    reply = b''
    while b'\\r\\n\\r\\n' not in reply:
        got = peer.recv(4096)
        if not got:
            sys.exit('closed by the server')
        reply += got
    print('answer', peer.getsockname()[1], flush=True)
    time.sleep(0.2)
"""


class KeptConnection:
    """Open and answered when the constructor returns."""

    def __init__(self, pod, name):
        self.program = Daemon(f"kept-{pod.name}-{name}", pod.cluster.node.wrap(pod.argv("python3", "-c", CODE.format(name=name))),
                              pod.cluster.folder)
        pod.cluster.lab.undo.add(self.program.stop)
        wait_until(lambda: self.program.require_alive() or self.answers() >= 2, f"a connection to {name} to be answered", 20)

    def answers(self):
        return self.program.log().count("answer")

    def lives(self, timeout=10):
        """Whether two more answers come on it: the connection is not cut now."""
        began = self.answers()
        try:
            wait_until(lambda: not self.program.alive() or self.answers() >= began + 2, "answers", timeout)
        except TimeoutError:
            return False
        return self.program.alive()

    def ends(self, timeout=20):
        """Waits until it is cut; returns what the program in the pod saw, or None if it still lives."""
        try:
            wait_until(lambda: not self.program.alive(), "the connection to end", timeout)
        except TimeoutError:
            return None
        return (self.program.log_tail(1) or "").strip()
