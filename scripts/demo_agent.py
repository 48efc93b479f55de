#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The reference agent's five steps, as it takes them inside its sandbox. scripts/demo.py runs it there.

It knows nothing of the gate. Each step prints one line of JSON: {"step", "ok", "seen", "seconds"}, where
"seen" is what the sandbox saw: what it got, or the error the system gave it.
"""
import errno
import hashlib
import io
import json
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile

TIMEOUT_S = 8
PACKAGE = "agent-toolbox"


class Agent:
    def __init__(self, ca):
        self.tls = ssl.create_default_context(cafile=ca)
        self.site = tempfile.TemporaryDirectory(prefix="agent-site-")
        self.snippet = None

    def fetch(self, url, body=None):
        headers = {"Content-Type": "application/json"} if body else {}
        request = urllib.request.Request(url, data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=self.tls) as response:
            return response.read()

    def install(self):
        """Install a package by its index's name."""
        index = self.fetch(f"https://pypi.org/simple/{PACKAGE}/").decode()
        url, digest = re.search(r'href="([^"#]+)#sha256=([0-9a-f]{64})"', index).groups()
        wheel = self.fetch(url)
        if hashlib.sha256(wheel).hexdigest() != digest:
            raise ValueError("the wheel is not the one the index names")
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            archive.extractall(self.site.name)
        return f"{url.rsplit('/', 1)[1]}, {len(wheel)} bytes from {url.split('/')[2]}, checksum right"

    def ask_model(self):
        """Call a language model by its name, over TLS."""
        question = {"model": "claude", "max_tokens": 256,
                    "messages": [{"role": "user", "content": "Count the primes below 100 with agent_toolbox."}]}
        reply = json.loads(self.fetch("https://api.anthropic.com/v1/messages", json.dumps(question).encode()))
        self.snippet = reply["content"][0]["text"]
        return f"{len(self.snippet.splitlines())} lines of Python"

    def execute(self):
        """Execute what it returned."""
        if self.snippet is None:
            raise ValueError("there is no snippet: the model was not reached")
        run = subprocess.run([sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {self.site.name!r})\n{self.snippet}"],
                             capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        if run.returncode != 0:
            raise ValueError(run.stderr.strip().splitlines()[-1])
        return f"it printed: {run.stdout.strip()}"

    def fetch_other_name(self):
        """Fetch a name that is not on the allowlist."""
        return f"HTTP 200: {self.fetch('https://blocked-example.example.com/').decode().strip()}"

    def connect_to_address(self):
        """Connect to an address that no lookup gave."""
        with socket.create_connection(("8.8.8.8", 443), timeout=TIMEOUT_S):
            return "connected to 8.8.8.8:443"

    STEPS = (install, ask_model, execute, fetch_other_name, connect_to_address)


def describe(error):
    """What a program in the sandbox sees: the resolver's or the kernel's own error."""
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception):
        error = error.reason
    if isinstance(error, socket.gaierror):
        names = {socket.EAI_NODATA: "EAI_NODATA", socket.EAI_NONAME: "EAI_NONAME", socket.EAI_AGAIN: "EAI_AGAIN"}
        return f"getaddrinfo: {names.get(error.errno, error.errno)} ({error.strerror})"
    if isinstance(error, OSError) and error.errno:
        return f"connect: {errno.errorcode[error.errno]} ({error.strerror})"
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT_S} s"
    return f"{type(error).__name__}: {error}"


def main():
    agent = Agent(sys.argv[1])
    for step in Agent.STEPS:
        began = time.monotonic()
        try:
            ok, seen = True, step(agent)
        except Exception as error:  # whatever it is, the agent saw it, and it goes on
            ok, seen = False, describe(error)
        print(json.dumps({"step": step.__doc__.rstrip("."), "ok": ok, "seen": seen, "seconds": time.monotonic() - began}), flush=True)


if __name__ == "__main__":
    main()
