# SPDX-License-Identifier: Apache-2.0
"""Cluster: a one-node Kubernetes in a lab's node namespace, in front of the lab's internet.

with Lab(sandboxes=0) as lab:
    cluster = Cluster(lab, programs).start()
    cluster.kubectl("get", "nodes")
"""
import json
import os
import shutil

from lab.commands import CommandFailed, wait_until
from lab.internet import NODE_V4, V4

from . import images
from .certificates import Authority
from .control_plane import API_SERVICE, NODE_NAME, ControlPlane
from .node import Node
from .services import dnat_rules, dns_manifest
from .worker import CLUSTER_DNS, Worker

PROGRAMS_NEEDED = ["etcd", "containerd", "ctr", "runc", "kubectl", "iptables", "unbound"]


class Cluster:
    """programs: folder of the Kubernetes servers (scripts/kubernetes.sh). say: takes lines that tell what happens."""

    def __init__(self, lab, programs, say=lambda line: None):
        missing = [name for name in PROGRAMS_NEEDED if not shutil.which(name)]
        if missing:
            raise CommandFailed(f"this machine lacks {' '.join(missing)}: run ./dev deps e2e")
        self.lab, self.say = lab, say
        self.folder = os.path.join(lab.folder, "cluster")
        os.makedirs(self.folder)
        self.node = Node(lab, V4)
        self.authority = Authority(os.path.join(self.folder, "keys"))
        self.control = ControlPlane(self.node, NODE_V4, programs, self.authority)
        self.worker = Worker(self.node, self.control, self.folder)

    def start(self):
        pause = images.write_pause(self.folder)
        self.control.start()
        self.say("etcd, kube-apiserver, kube-controller-manager and kube-scheduler run")
        self.worker.start(os.path.join(self.folder, "pause.tar"), pause)
        wait_until(self._node_ready, "the node to be Ready", 60)
        self.say("containerd and the kubelet run, the node is Ready")
        self._start_dns()
        self.say(f"the cluster's DNS answers at {CLUSTER_DNS}")
        return self

    def _node_ready(self):
        for daemon in (*self.control.daemons.values(), *self.worker.daemons.values()):
            daemon.require_alive()
        found = self.find("node", NODE_NAME)
        return found and any(c["type"] == "Ready" and c["status"] == "True" for c in found["status"]["conditions"])

    def _start_dns(self):
        image = images.write_dns(self.folder)
        self.worker.load_image(os.path.join(self.folder, "dns.tar"))
        self.apply(dns_manifest(image, V4, {"kubernetes.default": API_SERVICE, "kube-dns.kube-system": CLUSTER_DNS}))
        wait_until(lambda: (self.get("endpoints", "kube-dns", "-n", "kube-system").get("subsets") or [{}])[0].get("addresses"),
                   "the kube-dns pod to be ready", 60)
        self.publish_services()

    def publish_services(self):
        """Gives Service addresses their DNAT rules, from the Endpoints as they are now."""
        by_key = [{f"{i['metadata']['namespace']}/{i['metadata']['name']}": i for i in self.get(kind, "-A")["items"]}
                  for kind in ("services", "endpoints")]
        self.node.ns.nft(dnat_rules(*by_key))

    # The API

    def kubectl(self, *words, check=True, stdin=None, timeout=60):
        # Discovery is cached in the run's folder, not in somebody's home.
        return self.node.run(["env", "HOME=" + self.folder, "kubectl", "--kubeconfig", self.control.kubeconfig, *words], check=check,
                             stdin=stdin, timeout=timeout)

    def apply(self, text):
        return self.kubectl("apply", "-f", "-", stdin=text).out

    def get(self, *words):
        return json.loads(self.kubectl("get", *words, "-o", "json").out)

    def find(self, *words):
        """As get; None if there is no such object."""
        result = self.kubectl("get", *words, "-o", "json", "--ignore-not-found")
        return json.loads(result.out) if result.out.strip() else None

    def pod_ready(self, name, namespace):
        pod = self.find("pod", name, "-n", namespace)
        return pod and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", [])) and pod

    def await_pod(self, name, namespace, timeout=60):
        """Waits until a pod is Ready; returns the object."""
        try:
            return wait_until(lambda: self.pod_ready(name, namespace), f"pod {namespace}/{name} to be Ready", timeout)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.kubectl('describe', 'pod', name, '-n', namespace, check=False).out[-3000:]}") from None

    def exec(self, name, namespace, *argv, container=None, check=True, timeout=60):
        return self.kubectl("exec", name, "-n", namespace, *(["-c", container] if container else []), "--", *argv, check=check,
                            timeout=timeout)

    def await_gone(self, *words, timeout=60):
        wait_until(lambda: self.find(*words) is None, f"{' '.join(words)} to be gone", timeout)
