#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""agent/kube against a real kube-apiserver and etcd, all in a network namespace that this run makes.

Exit status: 0 all passed, 1 one failed, 77 not run: no root, or no kube-apiserver (scripts/kubernetes.sh); 1 when CI is set.
"""
import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from e2e.certificates import Authority  # noqa: E402
from e2e.kube_api import ADDRESS, NAME, PORT, KubeApi  # noqa: E402
from lab import cleanup  # noqa: E402
from lab.cases import run_cases  # noqa: E402
from lab.commands import POLL_S  # noqa: E402
from lab.namespace import Namespace  # noqa: E402

SPACE = "postern-system"


class Probe:
    """tests/e2e/kube_watch.cpp as posternd would run it, without any capability; what it says, in order."""

    def __init__(self, scene, *options):
        self.lines, self.at = [], 0
        argv = ["setpriv", "--pdeathsig", "KILL", "--bounding-set=-all", "--inh-caps=-all", scene.program, *options]
        self.log = open(os.path.join(scene.folder, "kube_watch.log"), "ab")
        self.process = subprocess.Popen(scene.namespace.wrap(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True, start_new_session=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def expect(self, what, timeout=10.0, **fields):
        """The next line of this kind whose fields are as wanted (a callable judges); what lies before it is passed over."""
        deadline = time.monotonic() + timeout
        at = self.at
        while True:
            while at < len(self.lines):
                line = self.lines[at]
                at += 1
                if line["what"] == what and all(want(line[key]) if callable(want) else line[key] == want
                                                for key, want in fields.items()):
                    self.at = at
                    return line
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {timeout:g} s for {what} {fields}; it said {self.lines[-8:]}")
            time.sleep(POLL_S)

    def said(self, what):
        return [line for line in self.lines[self.at:] if line["what"] == what]

    def tell(self, command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def end(self):
        """Stops it; returns its counters."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        self.reader.join(5)
        self.process.stdin.close()
        self.log.close()
        end = self.lines[-1]
        if end["what"] != "end":
            raise AssertionError(f"kube_watch ended with status {self.process.returncode}: {end}")
        # A lookup or a connect that blocked the loop would take 5 s or more; a busy machine takes less.
        if end["longest_gap_ms"] > 3000:
            raise AssertionError(f"the loop was kept from its timer for {end['longest_gap_ms']} ms")
        return end

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Scene:
    """The namespace, the API server, the folder of a service account, probes."""

    def __init__(self, programs, program, undo):
        name = f"{cleanup.PREFIX}{os.getpid()}"
        self.program, self.undo = program, undo
        self.folder = tempfile.mkdtemp(prefix=name + "-")
        undo.add(shutil.rmtree, self.folder)
        self.namespace = Namespace(name + "-api", undo, self.folder)
        # What has no address here goes nowhere, silently: a DNS server that does not answer.
        self.namespace.ip("route", "add", "default", "dev", "lo")
        self.authority = Authority(os.path.join(self.folder, "keys"))
        self.api = KubeApi(self.namespace, programs, self.authority, self.folder)
        undo.add(self.api.stop)
        self.account = os.path.join(self.folder, "account")
        os.makedirs(self.account)
        shutil.copy(self.authority.ca, os.path.join(self.account, "ca.crt"))
        self.put("namespace", SPACE)
        self.probes = []
        self.probe = None

    def put(self, name, text):
        """Replaces a file of the account as kubelet does: another file under the name."""
        with open(os.path.join(self.account, ".new"), "w", encoding="ascii") as file:
            file.write(text)
        os.rename(os.path.join(self.account, ".new"), os.path.join(self.account, name))

    def start_probe(self, *options):
        probe = Probe(self, *(options or ["--host", ADDRESS, "--port", str(PORT), "--folder", self.account]))
        self.undo.add(probe.kill)
        return probe

    def kubeconfig(self, name, cluster, user):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="ascii") as file:
            json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "c",
                       "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                       "clusters": [{"name": "k", "cluster": cluster}], "users": [{"name": "u", "user": user}]}, file)
        return self.start_probe("--kubeconfig", path)

    def logs(self):
        for name in ("kube_watch", "kube-apiserver", "etcd"):
            with contextlib.suppress(OSError), open(os.path.join(self.folder, name + ".log"), encoding="utf-8", errors="replace") as file:
                print(f"--- {name}\n" + "".join(file.readlines()[-15:]))


CASES = []


def case(title):
    def mark(function):
        CASES.append((title, function))
        return function
    return mark


def holds(*words):
    return lambda text: all(word in text for word in words)


@case("the API server is away at start: posternd runs and says what to do")
def away_at_start(scene):
    scene.put("token", "not-a-token-of-this-cluster")
    probe = scene.start_probe()
    probe.expect("started")
    text = probe.expect("trouble", text=holds(f"https://{ADDRESS}:{PORT}", "cannot be reached", "Connection refused"))["text"]
    scene.api.start_etcd()
    scene.api.start()
    probe.expect("trouble", timeout=40, text=holds("does not accept the token"))
    if probe.said("synced"):
        raise AssertionError("synced without leave")
    end = probe.end()
    return f"{text!r}; {end['failures']} tries"


@case("without a ClusterRole: forbidden, told with the remedy; with it: synced and recovered")
def no_rbac(scene):
    api = scene.api
    api.make_namespace(SPACE)
    for name in ("postern", "postern-next"):
        api.make_account(SPACE, name)
    scene.put("token", api.token_of(SPACE, "postern") + "\n")
    scene.probe = probe = scene.start_probe()
    probe.expect("trouble", text=holds("listing pods", "HTTP 403", "cannot list resource", "apply the ClusterRole"))
    api.allow(SPACE, "postern", "postern-next")
    probe.expect("synced", timeout=20)
    probe.expect("recovered")


@case("pods of this node: made, given addresses, relabelled, ending, gone; those of another node: unseen")
def pods(scene):
    api, probe = scene.api, scene.probe
    api.make_namespace("boxes", **{"postern.dev/enforce": "strict"})
    probe.expect("namespace", name="boxes", labels={"postern.dev/enforce": "strict"})
    uid = api.make_pod("boxes", "agent-0", labels={"role": "pool"}, dnsConfig={"searches": ["corp.example"]})
    probe.expect("pod", uid=uid, space="boxes", name="agent-0", labels={"role": "pool"}, addresses=[], searches=["corp.example"],
                 dns_policy="ClusterFirst", deleting=False, finished=False, host_network=False)
    api.make_pod("boxes", "elsewhere", node="node-2")
    api.set_status("boxes", "agent-0", phase="Running", podIP="10.0.0.5", podIPs=[{"ip": "10.0.0.5"}, {"ip": "fd00::5"}])
    probe.expect("pod", uid=uid, addresses=["10.0.0.5", "fd00::5"])
    # What kubelet writes all day and Postern does not read is no change.
    api.set_status("boxes", "agent-0", message="still running")
    began = time.monotonic()
    api.patch("/api/v1/namespaces/boxes/pods/agent-0", {"metadata": {"labels": {"role": "claimed"}}})
    probe.expect("pod", uid=uid, labels={"role": "claimed"})
    took = time.monotonic() - began
    api.end_pod("boxes", "agent-0", grace_s=30)
    probe.expect("pod", uid=uid, deleting=True)
    api.set_status("boxes", "agent-0", phase="Failed")
    probe.expect("pod", uid=uid, finished=True)
    api.end_pod("boxes", "agent-0")
    probe.expect("pod_gone", uid=uid)
    seen = [line for line in probe.lines if line["what"] == "pod"]
    if any(line["name"] == "elsewhere" for line in seen) or len(seen) != 5:
        raise AssertionError(f"told too much: {seen}")
    return f"a label's edit was told after {took * 1000:.0f} ms"


@case("namespaces: relabelled, gone")
def namespaces(scene):
    api, probe = scene.api, scene.probe
    api.make_namespace("short")
    probe.expect("namespace", name="short")
    api.patch("/api/v1/namespaces/short", {"metadata": {"labels": {"team": "x"}}})
    probe.expect("namespace", name="short", labels={"team": "x"})
    api.end_namespace("short")
    probe.expect("namespace_gone", name="short")


@case("an Event is posted, and is there")
def event(scene):
    scene.probe.tell({"event": {"kind": "Namespace", "name": "boxes", "reason": "PolicyRefused", "message": "field \"x\" is unknown"}})
    scene.probe.expect("posted", status=201)
    found = [item for item in scene.api.must("GET", "/api/v1/namespaces/default/events")["items"] if item["reason"] == "PolicyRefused"]
    if len(found) != 1 or found[0]["source"] != {"component": "posternd", "host": "node-1"} or found[0]["type"] != "Warning":
        raise AssertionError(f"events: {found}")
    scene.probe.tell({"event": {"kind": "Pod", "space": "nowhere", "name": "x", "reason": "R", "message": "m"}})
    scene.probe.expect("posted", status=404)


@case("the API server is killed and started again, the token rotated meanwhile: all goes on with the new token")
def restart_and_rotation(scene):
    api, probe = scene.api, scene.probe
    scene.put("token", api.token_of(SPACE, "postern-next"))
    api.must("DELETE", f"/api/v1/namespaces/{SPACE}/serviceaccounts/postern")  # the old token is worth nothing now
    api.server.kill()
    probe.expect("trouble", timeout=20, text=holds("cannot be reached"))
    api.start()
    ready = time.monotonic()
    probe.expect("recovered", timeout=40)
    took = time.monotonic() - ready
    uid = api.make_pod("boxes", "after", labels={"role": "x"})
    probe.expect("pod", uid=uid)
    return f"recovered {took:.1f} s after the server was ready"


@case("a version that etcd has compacted away: listed again, and what went meanwhile is gone")
def compaction(scene):
    api, probe = scene.api, scene.probe
    api.server.kill()
    # Without its memory of recent events, so that etcd's own answer is what counts.
    probe.process.send_signal(signal.SIGSTOP)
    api.start("--watch-cache=false")
    old = api.must("GET", "/api/v1/namespaces/boxes/pods/after")["metadata"]["uid"]
    api.end_pod("boxes", "after")
    api.end_pod("boxes", "elsewhere")
    new = api.make_pod("boxes", "later")
    api.compact()
    probe.process.send_signal(signal.SIGCONT)
    probe.expect("pod_gone", timeout=40, uid=old)
    probe.expect("pod", uid=new, name="later")
    probe.tell({"forget_gap": True})  # it was we who stopped it
    uid = api.make_pod("boxes", "followed")
    probe.expect("pod", uid=uid)


@case("a connection that died in silence is noticed, and replaced once the path is there again")
def dead_path(scene):
    api, probe = scene.api, scene.probe
    began = time.monotonic()
    scene.namespace.nft(f"""table inet cut {{
        chain out {{ type filter hook output priority 0; tcp dport {PORT} drop; tcp sport {PORT} drop; }}
        }}""")
    probe.expect("trouble", timeout=60, text=holds("does not answer in time"))
    noticed = time.monotonic() - began
    scene.namespace.nft("delete table inet cut")
    probe.expect("recovered", timeout=40)
    uid = api.make_pod("boxes", "survivor")
    probe.expect("pod", uid=uid)
    return f"noticed after {noticed:.0f} s"


@case("the end of that probe: its counters")
def counters(scene):
    end = scene.probe.end()
    if not end["synced"] or end["trouble"] or end["unreadable"] or end["relists"] < 2 or end["reconnects"] < 6:
        raise AssertionError(str(end))
    return json.dumps({key: end[key] for key in ("lists", "relists", "reconnects", "failures", "events", "longest_gap_ms")})


@case("another authority, another address, no TLS at all: not trusted, each told")
def trust(scene):
    other = Authority(os.path.join(scene.folder, "other-keys"))
    token = scene.api.token_of(SPACE, "postern-next")
    server = f"https://{ADDRESS}:{PORT}"
    probe = scene.kubeconfig("other-ca", {"server": server, "certificate-authority": other.ca}, {"token": token})
    probe.expect("trouble", text=holds("not trusted", other.ca))
    probe.end()
    # Without one named it is the system's, which did not sign it.
    probe = scene.kubeconfig("no-ca", {"server": server}, {"token": token})
    probe.expect("trouble", text=holds("not trusted"))
    probe.end()
    probe = scene.kubeconfig("other-address", {"server": f"https://127.0.0.2:{PORT}", "certificate-authority": scene.authority.ca},
                             {"token": token})
    probe.expect("trouble", text=holds("not trusted", "127.0.0.2"))
    probe.end()
    probe = scene.kubeconfig("plain", {"server": "https://127.0.0.1:2379", "certificate-authority": scene.authority.ca}, {"token": token})
    probe.expect("trouble", text=holds("no TLS"))
    probe.end()
    probe = scene.kubeconfig("missing", {"server": server, "certificate-authority": "nowhere.crt"}, {"token": token})
    probe.expect("failed", text=holds("nowhere.crt", "No such file"))


@case("kubeconfig with everything inside: a client certificate, and a server name other than its address")
def kubeconfig(scene):
    def data(path):
        with open(path, "rb") as file:
            return base64.b64encode(file.read()).decode()
    certificate, key = scene.api.admin
    probe = scene.kubeconfig(
        "inside", {"server": f"https://127.0.0.2:{PORT}", "tls-server-name": NAME, "certificate-authority-data": data(scene.authority.ca)},
        {"client-certificate-data": data(certificate), "client-key-data": data(key)})
    probe.expect("synced")
    probe.end()


@case("a server whose name does not resolve blocks nothing")
def resolver(scene):
    probe = scene.kubeconfig("name", {"server": f"https://{NAME}:{PORT}", "certificate-authority": scene.authority.ca}, {"token": "x"})
    probe.expect("trouble", timeout=20, text=holds("no address"))
    end = probe.end()
    return f"longest gap of the loop {end['longest_gap_ms']} ms"


@case("a list larger than an answer may be comes in pages")
def pages(scene):
    api = scene.api
    for number in range(30):
        api.make_pod("boxes", f"many-{number}", labels={"role": "many"})
    whole = len(api.ask("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1", raw=True)[1])
    probe = scene.start_probe("--host", ADDRESS, "--port", str(PORT), "--folder", scene.account, "--body-max", str(whole // 5))
    probe.expect("synced")
    end = probe.end()
    if end["pods"] < 32 or end["trouble"]:
        raise AssertionError(str(end))
    return f"{end['pods']} pods, {whole} bytes, at most {whole // 5} an answer"


def programs_folder():
    found = subprocess.run([os.path.join(ROOT, "scripts", "kubernetes.sh"), "--where"], capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else None


def main():
    programs = programs_folder()
    missing = [what for what, there in (("root", os.geteuid() == 0), ("kube-apiserver (scripts/kubernetes.sh)", programs),
                                        ("etcd (scripts/deps.sh e2e)", shutil.which("etcd"))) if not there]
    if missing:
        print(f"not run: this lacks {', '.join(missing)}")
        return 1 if os.environ.get("CI") else 77
    cleanup.end_on_signals()
    program = os.path.join(os.environ.get("POSTERN_TESTS", os.path.join(ROOT, "build", "release", "tests")), "kube_watch")
    undo, failed = cleanup.Undo(), 0
    began = time.monotonic()
    try:
        scene = Scene(programs, program, undo)
        failed += run_cases(CASES, scene.logs, scene)
    finally:
        failed += len(undo.run())
    left = cleanup.what_is_left(os.getpid())
    if left:
        print(f"FAIL  left behind: {' '.join(left)}")
    print(f"{len(CASES) - failed} of {len(CASES)} cases passed in {time.monotonic() - began:.1f} s")
    return 1 if failed or left else 0


if __name__ == "__main__":
    sys.exit(main())
