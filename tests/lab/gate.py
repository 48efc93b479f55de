# SPDX-License-Identifier: Apache-2.0
"""Gate: the real daemons on a lab's node, and the command line that talks to them."""
import json
import os
import socket

from .cleanup import remove_pins
from .commands import CommandFailed, wait_until
from .control import Control
from .internet import V4

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def default_bin():
    return os.environ.get("POSTERN_BIN") or os.path.join(ROOT, "build", "release", "bin")


class Gate:
    """
    policies: {policy name: spec as YAML text or a whole file's text}. They are files of one folder.
    config: more lines for postern.yaml. workers: DNS workers. observer: start postern-observer too.
    """

    def __init__(self, lab, policies, *, config=None, workers=2, observer=False, log_level="info"):
        self.lab, self.workers, self.with_observer = lab, workers, observer
        self.bin = lab.bin or default_bin()
        self.dir = os.path.join(lab.folder, "postern")
        self.run_dir = os.path.join(self.dir, "run")
        self.policy_dir = os.path.join(self.dir, "policies")
        self.config_path = os.path.join(self.dir, "postern.yaml")
        self.control = os.path.join(self.run_dir, "control.sock")
        self.dns_socket = os.path.join(self.run_dir, "dns.sock")
        self.observer_socket = os.path.join(self.run_dir, "observer.sock")
        self.log_level = log_level
        self.daemons = {}
        for folder in (self.dir, self.run_dir, self.policy_dir):
            os.makedirs(folder, exist_ok=True)
        for name, spec in policies.items():
            self.write_policy(name, spec)
        self.write_config(config or {})
        lab.undo.add(self.stop)

    def program(self, name):
        return os.path.join(self.bin, name)

    # Files

    def write_config(self, more):
        config = {"policies": self.policy_dir, "templates": os.path.join(ROOT, "allowlists"), "run_dir": self.run_dir,
                  "pin_dir": self.lab.pin_dir, "dns": {"upstreams": [V4], "grant_s_min": 30},
                  "log": {"level": self.log_level}}
        for key, value in more.items():
            config[key] = {**config[key], **value} if isinstance(config.get(key), dict) else value
        with open(self.config_path, "w", encoding="utf-8") as file:
            json.dump(config, file, indent=1)  # JSON is YAML

    def write_policy(self, name, spec):
        """Replaces a policy file as an editor does: in one step."""
        if "kind:" not in spec:
            body = "".join(f"  {line}\n" for line in spec.strip("\n").splitlines())
            spec = f"apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: {name}}}\nspec:\n{body}"
        path = os.path.join(self.policy_dir, name + ".yaml")
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(spec)
        os.rename(path + ".new", path)
        return path

    def remove_policy(self, name):
        os.unlink(os.path.join(self.policy_dir, name + ".yaml"))

    # Processes

    def start(self):
        self.start_dns()
        self.setup()
        self.start_posternd()
        if self.with_observer:
            self.start_observer()
        return self

    def _start(self, name, *options):
        self.daemons[name] = self.lab.node.daemon(name, [self.program(name), *options])
        return self.daemons[name]

    def start_dns(self):
        self._start("postern-dns", "--socket", self.dns_socket, "--log-level", self.log_level)
        self._await_socket("postern-dns", self.dns_socket)

    def setup(self):
        return self.lab.node.run([self.program("postern-setup"), "--dns-socket", self.dns_socket, "--workers",
                                  str(self.workers)])

    def start_posternd(self):
        self._start("posternd", "--config", self.config_path)
        self._await_socket("posternd", self.control)
        wait_until(self._steering, "posternd to know the DNS proxy's sockets", 10)

    def _steering(self):
        self.daemons["posternd"].require_alive()
        self.daemons["postern-dns"].require_alive()
        dns = self.status().get("dns", {})
        return dns.get("connected") and dns.get("steering")

    def start_observer(self):
        self._start("postern-observer", "--control", self.control, "--dns-socket", self.dns_socket, "--listen",
                    self.observer_socket)
        self._await_socket("postern-observer", self.observer_socket)
        wait_until(lambda: self.status()["observer"]["connected"], "the observer to connect to posternd", 10)

    def _await_socket(self, name, path):
        def listens():
            self.daemons[name].require_alive()
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
                # The observer's is a stream socket: "wrong type" then also says that somebody listens.
                return probe.connect_ex(path) in (0, 91)
        wait_until(listens, f"{name} to listen on {path}", 10)

    def stop(self):
        for name in ("postern-observer", "posternd", "postern-dns"):
            if name in self.daemons:
                self.daemons.pop(name).stop()
        remove_pins(self.lab.pin_dir)

    # Commands

    def cli(self, *words, check=True, timeout=30):
        argv = [self.program("postern"), "--control", self.control, *words]
        return self.lab.node.run(argv, check=check, timeout=timeout)

    def status(self):
        result = self.cli("status", "-o", "json", check=False)
        if result.status not in (0, 3):
            raise CommandFailed(f"postern status: {result}")
        return json.loads(result.out)

    def attach(self, sandbox, policy, *, search=(), options=()):
        words = [word for suffix in search for word in ("--search", suffix)]
        return self.cli("sandbox", "attach", "--interface", sandbox.host_if, "--policy", policy, *words, *options)

    def detach(self, sandbox):
        return self.cli("sandbox", "detach", sandbox.host_if)

    def reload(self, check=True):
        return self.cli("reload", check=check)

    def observe(self, *words, check=True):
        return self.lab.node.run([self.program("postern"), "--observer", self.observer_socket, "observe", *words],
                                 check=check)

    def flows(self, *words):
        """Flows as the observer tells them: a list of objects, oldest first."""
        out = self.observe("-o", "json", *words).out
        flows = [json.loads(line) for line in out.splitlines() if line.strip()]
        return [flow.get("flow", flow) for flow in flows]

    def control_connection(self):
        return Control(self.control)
