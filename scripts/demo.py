#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo: what an agent in a sandbox can reach without the gate, and with it.

Makes sandbox <-> node <-> internet out of network namespaces, runs scripts/demo_agent.py in the sandbox,
puts the gate on, runs it again, and compares all ten outcomes. Nothing leaves the namespaces.
"""
import argparse
import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import time
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from lab import CommandFailed, Lab, wait_until  # noqa: E402
from lab.cleanup import what_is_left  # noqa: E402

POLICY = os.path.join(ROOT, "examples", "reference-agent.yaml")
WITHOUT_GATE = ["PASS"] * 5
WITH_GATE = ["PASS", "PASS", "PASS", "BLOCKED", "BLOCKED"]

# The names are the real ones, the addresses stand for theirs.
ZONE = """
pypi.org. 300 A 151.101.0.223
pypi.org. 300 AAAA 2a04:4e42::223
files.pythonhosted.org. 300 CNAME dualstack.files.example.net.
dualstack.files.example.net. 60 A 151.101.64.223
dualstack.files.example.net. 60 AAAA 2a04:4e42:200::223
api.anthropic.com. 60 A 160.79.104.10
api.anthropic.com. 60 AAAA 2607:6bc0::10
blocked-example.example.com. 300 A 93.184.216.34
blocked-example.example.com. 300 AAAA 2606:2800:220::34
"""

SERVERS = """
  server {
    server_name pypi.org; listen 443 ssl; listen [::]:443 ssl;
    location / { root {dir}/www/pypi; index index.html; types { text/html html; } }
  }
  server {
    server_name files.pythonhosted.org; listen 443 ssl; listen [::]:443 ssl;
    location / { root {dir}/www/files; }
  }
  server {
    server_name api.anthropic.com; listen 443 ssl; listen [::]:443 ssl;
    root {dir}/www/api; default_type application/json;
    location = /v1/messages { error_page 405 =200 $uri; }  # POST to a file: 405 else
  }
"""

SNIPPET = """import agent_toolbox
primes = agent_toolbox.primes_below(100)
print(len(primes), "primes below 100, the last is", primes[-1])
"""
MODULE = "def primes_below(n):\n    return [p for p in range(2, n) if all(p % d for d in range(2, p))]\n"
WHEEL = "agent_toolbox-1.0-py3-none-any.whl"

PICTURE = """
    sandbox                   node                      internet
   +-------------+           +------------------+      +-----------------------------+
   | the agent   |           | {0:16} |      | pypi.org                    |
   | {v4:11} |=={link}==| {1:16} |======| api.anthropic.com           |
   | {v6:11} |           | {2:16} |      | blocked-example.example.com |
   +-------------+           +------------------+      | 8.8.8.8                     |
                                                       +-----------------------------+
"""
NODE_WITHOUT_GATE = ("forwards packets", "", "")
NODE_WITH_GATE = ("posternd", "postern-dns", "postern-observer")


class Screen:
    """Plain text; colours only where a person looks."""

    def __init__(self):
        self.coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def paint(self, text, code):
        return f"\x1b[{code}m{text}\x1b[0m" if self.coloured else text

    def bold(self, text):
        return self.paint(text, "1")

    def grey(self, text):
        return self.paint(text, "90")

    def verdict(self, word):
        return self.paint(f"{word:<7}", {"PASS": "32", "BLOCKED": "33"}.get(word, "31"))

    def say(self, text=""):
        print(text, flush=True)

    def wrong(self, text):
        return self.paint(text, "1;31")


def fill_internet(folder):
    """A package with its index page, and the model's reply."""
    www = os.path.join(folder, "internet", "www")
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("agent_toolbox.py", MODULE)
        archive.writestr("agent_toolbox-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: agent-toolbox\nVersion: 1.0\n")
        archive.writestr("agent_toolbox-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        digest = base64.urlsafe_b64encode(hashlib.sha256(MODULE.encode()).digest()).rstrip(b"=").decode()
        archive.writestr("agent_toolbox-1.0.dist-info/RECORD", f"agent_toolbox.py,sha256={digest},{len(MODULE)}\n")
    link = f"https://files.pythonhosted.org/packages/{WHEEL}#sha256={hashlib.sha256(wheel.getvalue()).hexdigest()}"
    reply = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": SNIPPET}]}
    for path, content in (("pypi/simple/agent-toolbox/index.html", f'<a href="{link}">{WHEEL}</a>\n'.encode()),
                          (f"files/packages/{WHEEL}", wheel.getvalue()),
                          ("api/v1/messages", json.dumps(reply).encode())):
        path = os.path.join(www, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)


def draw(screen, sandbox, gate):
    link = "[gate]=" if gate else "======="
    screen.say(PICTURE.format(*(NODE_WITH_GATE if gate else NODE_WITHOUT_GATE), v4=sandbox.v4, v6=sandbox.v6, link=link))


def run_agent(screen, lab, expected):
    """Runs the five steps in the sandbox, prints each as it ends, returns whether all are as expected."""
    argv = lab.sandbox.wrap([sys.executable, os.path.join(ROOT, "scripts", "demo_agent.py"), lab.internet.ca])
    agent = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL, start_new_session=True)
    lab.undo.add(agent.kill)
    outcomes = []
    for number, line in enumerate(agent.stdout):
        step = json.loads(line)
        outcome = "PASS" if step["ok"] else "BLOCKED"
        outcomes.append(outcome)
        note = "" if outcome == expected[number] else screen.wrong(f"  <- {expected[number]} was expected")
        screen.say(f"  {number + 1}. {step['step']:<50} {screen.verdict(outcome)} {step['seconds']:5.2f} s{note}")
        screen.say(screen.grey(f"       {step['seen']}"))
    agent.wait()
    if outcomes != expected:
        screen.say(screen.wrong(f"  Expected {' '.join(expected)}; saw {' '.join(outcomes) or 'nothing'}."))
    return outcomes == expected


def put_gate_on(screen, lab):
    with open(POLICY, encoding="utf-8") as file:
        gate = lab.gate({"reference-agent": file.read()}, observer=True)
    gate.start()
    screen.say("  postern-dns, postern-setup, posternd and postern-observer run on the node.")
    command = ["sandbox", "attach", "--interface", lab.sandbox.host_if, "--policy", "reference-agent"]
    screen.say(f"  $ postern {' '.join(command)}")
    screen.say("  " + gate.cli(*command).out.strip())
    return gate


def show_flow_log(screen, gate):
    """Prints the denials as the observer tells them. Returns whether both are there."""
    wanted = ("blocked-example.example.com", "8.8.8.8:443")

    def log():
        text = gate.observe("--blocked", "--last", "50").out
        return text if all(target in text for target in wanted) else None
    screen.say(screen.bold("\nThe flow log of both denials"))
    try:
        text = wait_until(log, "both denials in the flow log", 5)
    except TimeoutError as error:
        screen.say(screen.wrong(f"  {error}:") + "\n" + gate.observe("--last", "50", check=False).out)
        return False
    screen.say("  $ postern observe --blocked")
    for line in text.splitlines():
        screen.say("  " + line)
    return True


def demo(screen, bin_dir):
    """Returns how many of the checks failed: the two runs and the flow log."""
    failed = 0
    with Lab(zone=ZONE, servers=SERVERS, bin=bin_dir) as lab:
        fill_internet(lab.folder)
        lab.sandbox.ns.sysctl("net/ipv4/tcp_syn_retries", "1")  # a connect gives up after 3 s instead of 127 s
        screen.say(screen.bold("1. Without the gate: everything is reachable"))
        draw(screen, lab.sandbox, False)
        failed += not run_agent(screen, lab, WITHOUT_GATE)
        screen.say(screen.bold("\n2. With the gate: what the policy allows, and nothing else"))
        draw(screen, lab.sandbox, True)
        gate = put_gate_on(screen, lab)
        screen.say()
        failed += not run_agent(screen, lab, WITH_GATE)
        failed += not show_flow_log(screen, gate)
    return failed


def main():
    parser = argparse.ArgumentParser(description="Shows what an agent in a sandbox reaches without the gate and with it.")
    parser.add_argument("--bin", required=True, help="folder of the Postern programs, as build/release/bin")
    options = parser.parse_args()
    screen = Screen()
    began = time.monotonic()
    bin_dir = os.path.abspath(options.bin)
    for program in ("posternd", "postern-dns", "postern-setup", "postern-observer", "postern"):
        if not os.path.exists(os.path.join(bin_dir, program)):
            sys.exit(f"demo: there is no {program} in {bin_dir}: run ./dev build")
    if os.geteuid() != 0:
        sys.exit("demo: it makes network namespaces and loads programs into the kernel: run it with sudo")
    try:
        failed = demo(screen, bin_dir)
    except (CommandFailed, TimeoutError, OSError) as error:
        screen.say(screen.wrong(f"\nThe demo could not go on: {error}"))
        failed = 1
    left = what_is_left(os.getpid())
    screen.say(f"\n{'Left behind: ' + ' '.join(left) if left else 'Nothing is left behind: no namespace, process, pin, mount or file.'}")
    if failed or left:
        screen.say(screen.wrong("NOT as expected."))
        return 1
    screen.say(screen.bold(f"All ten outcomes are as expected ({time.monotonic() - began:.0f} s)."))
    return 0


if __name__ == "__main__":
    sys.exit(main())
