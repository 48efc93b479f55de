# SPDX-License-Identifier: Apache-2.0
"""The reference agent as a pod, and its five steps run in it. The agent is scripts/demo_agent.py, unchanged."""
import json
import os
import subprocess

from . import images
from .worker import SOCKET

NAMESPACE = "agent-sandboxes"
IMAGE = f"{images.REGISTRY}/agent:e2e"  # what write_agent names it
ROLE = {"agent-sandbox/role": "runtime"}
AGENT = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "scripts", "demo_agent.py")


def load_image(cluster):
    images.write_agent(cluster.folder, AGENT)
    cluster.worker.load_image(os.path.join(cluster.folder, "agent.tar"))


def make_namespace(cluster, name=NAMESPACE):
    """A namespace with the internet's CA in it."""
    with open(cluster.lab.internet.ca, encoding="ascii") as file:
        ca = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca", "namespace": name}, "data": {"ca.pem": file.read()}}
    cluster.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
    cluster.apply(json.dumps(ca))


def pod_manifest(name, namespace, labels):
    container = {"name": "agent", "image": IMAGE, "imagePullPolicy": "Never", "volumeMounts": [{"name": "ca", "mountPath": "/ca"}],
                 "securityContext": {"runAsUser": 65534, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    # A blocked connect gives up after 3 s instead of 127 s.
    sysctls = [{"name": "net.ipv4.tcp_syn_retries", "value": "1"}]
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels},
                       "spec": {"containers": [container], "volumes": [{"name": "ca", "configMap": {"name": "ca"}}],
                                "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0,
                                "securityContext": {"sysctls": sysctls}}})


class AgentPod:
    """Made at once; Ready when the constructor returns."""

    def __init__(self, cluster, name, namespace=NAMESPACE, labels=None):
        self.cluster, self.name, self.namespace = cluster, name, namespace
        cluster.apply(pod_manifest(name, namespace, ROLE if labels is None else labels))
        self.object = cluster.await_pod(name, namespace)
        self.container = self.object["status"]["containerStatuses"][0]["containerID"].split("://")[1]
        self.runs = 0

    @property
    def address(self):
        return self.object["status"]["podIP"]

    def argv(self, *words):
        """A command line for the node that runs words in the pod; by the runtime, so it needs no API server."""
        self.runs += 1
        return ["ctr", "--address", SOCKET, "--namespace", "k8s.io", "tasks", "exec", "--exec-id", f"e2e-{self.runs}", self.container, *words]

    def start(self, *words):
        """A program in the pod, its output piped; killed at the end."""
        program = subprocess.Popen(self.cluster.node.wrap(self.argv(*words)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   stdin=subprocess.DEVNULL, start_new_session=True)
        self.cluster.lab.undo.add(program.kill)
        return program

    def steps(self):
        """Runs the five steps; yields each as it ends: {"step", "ok", "seen", "seconds"}."""
        agent = self.start("python3", "/agent.py", "/ca/ca.pem")
        for line in agent.stdout:
            yield json.loads(line)
        agent.wait()

    def python(self, code, timeout=30):
        """Runs Python in the pod; returns what it printed, or its error's last line."""
        result = self.cluster.node.run(self.argv("python3", "-c", code), check=False, timeout=timeout)
        return result.out.strip() if result.status == 0 else (result.err.strip().splitlines() or ["no output"])[-1]

    def lookup(self, name):
        """The addresses of a name as the pod's resolver gives them, or the error's name."""
        return self.python("import socket\n"
                           "names = {-2: 'EAI_NONAME', -3: 'EAI_AGAIN', -5: 'EAI_NODATA'}\n"
                           f"try: print(*sorted({{a[4][0] for a in socket.getaddrinfo({name!r}, 443)}}))\n"
                           "except socket.gaierror as e: print(names.get(e.errno, e.errno))")

    def fetch(self, name, timeout=4):
        """GET https://name/ with the CA checked: "HTTP 200", or the error."""
        return self.python("import ssl, urllib.request, urllib.error\n"
                           "tls = ssl.create_default_context(cafile='/ca/ca.pem')\n"
                           f"try: print('HTTP', urllib.request.urlopen('https://{name}/', timeout={timeout}, context=tls).status)\n"
                           "except urllib.error.HTTPError as e: print('HTTP', e.code)\n"
                           "except OSError as e: print('failed:', getattr(e, 'reason', e))")

    def delete(self):
        self.cluster.kubectl("delete", "pod", self.name, "-n", self.namespace, "--grace-period=0", "--force", "--wait=false")
        self.cluster.await_gone("pod", self.name, "-n", self.namespace)
