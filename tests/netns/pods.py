# SPDX-License-Identifier: Apache-2.0
"""Pods that a test wires itself, before a posternd that asks a scripted API server.

Pods are namespaces wired as the ptp CNI plugin does it: the veth is made inside, one end moves to the node,
addresses come last. The API server is lab/api_server.py, so that a test says when it tells what.
"""
import json
import os

from harness import equal, wait_until
from lab import ApiServer, ask
from lab.cleanup import PREFIX
from lab.namespace import Namespace

ZONE = """
www.allowed.example. 600 A 93.184.216.34
other.allowed.example. 600 A 93.184.216.35
"""
ALLOWED, DENIED = "93.184.216.34", "93.184.217.1"
SCOPED = {"postern.dev/enforce": "true"}
ROLE = {"role": "agent"}
POLICIES = {
    "agent": """apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: agent, namespace: agents}
spec:
  selector: {matchLabels: {role: agent}}
  allow: [{names: [www.allowed.example], ports: [80]}]
""",
    "other": """apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: other, namespace: agents}
spec:
  selector: {matchLabels: {role: other}}
  allow: [{names: [other.allowed.example], ports: [80]}]
""",
}


class Pod:
    """A namespace that becomes a pod step by step."""
    count = 0

    def __init__(self, lab):
        Pod.count += 1
        self.lab, self.number = lab, Pod.count
        self.v4, self.gateway = f"10.88.{self.number}.2", f"10.88.{self.number}.1"
        self.host_if = f"vethpod{self.number}"
        self.ns = Namespace(f"{PREFIX}{os.getpid()}-pod{self.number}", lab.undo, lab.folder)

    def plug(self):
        """The veth, without addresses."""
        self.ns.ip("link", "add", "eth0", "type", "veth", "peer", "name", self.host_if)
        self.ns.ip("link", "set", self.host_if, "netns", self.lab.node.name)
        self.lab.node.ip("link", "set", self.host_if, "up")
        self.ns.ip("link", "set", "eth0", "up")
        return self

    def number_it(self):
        self.ns.ip("addr", "add", self.v4 + "/24", "dev", "eth0")
        self.lab.node.ip("addr", "add", self.gateway + "/32", "dev", self.host_if)
        self.lab.node.ip("route", "add", self.v4 + "/32", "dev", self.host_if)
        self.ns.ip("route", "add", "default", "via", self.gateway, "dev", "eth0")
        return self

    def unplug(self):
        self.ns.ip("link", "del", "eth0")

    def asks(self, name="www.allowed.example"):
        answer = ask(self.ns, "8.8.8.8", name, timeout=0.3)
        return answer and answer.addresses

    def write_cni_result(self, folder, space, name):
        """As libcni does at the end of an ADD."""
        result = {"kind": "cniCacheV1", "containerId": f"c{self.number}", "config": "e30=", "ifName": "eth0",
                  "networkName": "pods",
                  "cniArgs": [["IgnoreUnknown", "1"], ["K8S_POD_NAMESPACE", space], ["K8S_POD_NAME", name],
                              ["K8S_POD_UID", f"uid-{space}-{name}"]],
                  "result": {"cniVersion": "0.3.1",
                             "interfaces": [{"name": self.host_if, "mac": self.lab.node.mac_of(self.host_if)},
                                            {"name": "eth0", "mac": self.ns.mac_of("eth0"), "sandbox": self.ns.path}],
                             "ips": [{"version": "4", "interface": 1, "address": self.v4 + "/24"}]}}
        with open(os.path.join(folder, f"pods-c{self.number}-eth0"), "w", encoding="ascii") as file:
            json.dump(result, file)


class World:
    api = None
    cni = None
    pods = {}


def knows(gate):
    """posternd has heard of pods, namespaces and policy objects, and its policies are in force."""
    status = gate.status()
    return status["cluster"]["synced"] and status["cluster"]["policies_known"] and status["generation"] > 0


def prepare(lab, policies=None, *, resources=(), **config):
    """resources: [(kind, plural, apiVersion)], the policy objects that the cluster knows. config: more of postern.yaml."""
    World.api = ApiServer(lab.node, os.path.join(lab.folder, "api"))
    lab.undo.add(World.api.stop)
    World.cni = os.path.join(lab.folder, "cni")
    os.makedirs(World.cni)
    World.api.put_namespace("agents", SCOPED)
    World.api.put_namespace("web")
    World.api.put_namespace("kube-system")
    for resource in resources:
        World.api.define(*resource)
    World.api.start()
    gate = lab.gate(POLICIES if policies is None else policies, observer=True,
                    config={**config,
                            "kubernetes": {"kubeconfig": World.api.kubeconfig, "node": "lab-node",
                                           "kubelet_config": os.path.join(lab.folder, "none"),
                                           "cni_results": World.cni}})
    gate.start()
    wait_until(lambda: knows(gate), "posternd to know the cluster and its policies", 15)
    return gate


def come(lab, gate, name, labels, policy):
    """A pod of the namespace in scope, from its first word to its policy."""
    World.api.put_pod("agents", name, labels=labels)
    wait_until(lambda: cluster(gate)["pods"]["waiting"] == 1, "the pod to wait")
    pod = World.pods[name] = Pod(lab).plug().number_it()
    World.api.put_pod("agents", name, labels=labels, ips=[pod.v4], phase="Running")
    under(gate, pod, policy, name)
    return pod


def cluster(gate):
    return gate.status()["cluster"]


def sandbox_of(gate, pod):
    listed = json.loads(gate.cli("sandbox", "list", "-o", "json").out)
    return next((each for each in listed if each["interface"] == pod.host_if), None)


def under(gate, pod, policy, name):
    def is_under():
        sandbox = sandbox_of(gate, pod)
        return sandbox and sandbox["policy"] == policy and sandbox["pod"] == name and sandbox
    return wait_until(is_under, f"{pod.host_if} to be pod {name} under {policy!r}", 5)


def let_go(gate, pod):
    wait_until(lambda: sandbox_of(gate, pod) is None, f"{pod.host_if} to be let go", 5)


def is_open(pod):
    equal(pod.ns.connect(DENIED, 80), "ok", "an address that no policy allows")


def conditions(gate, kind):
    return [condition for condition in cluster(gate)["conditions"] if condition["type"] == kind]


def is_shut(pod):
    equal(pod.ns.connect(DENIED, 80, timeout=0.3), "ETIMEDOUT", "an address that no policy allows")
