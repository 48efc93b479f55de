# SPDX-License-Identifier: Apache-2.0
"""The reference agent as a pod, and its five steps run in it. The agent is scripts/demo_agent.py, unchanged."""
import json
import os
import subprocess

from . import images

NAMESPACE = "agent-sandboxes"
IMAGE = f"{images.REGISTRY}/agent:e2e"
ROLE = {"agent-sandbox/role": "runtime"}
AGENT = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "scripts", "demo_agent.py")


def namespace_manifest(labels=None):
    return json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels or {}}})


def prepare(cluster):
    """The agent's image, its namespace, and the internet's CA in it."""
    image = images.write_agent(cluster.folder, AGENT)
    assert image == IMAGE
    cluster.worker.load_image(os.path.join(cluster.folder, "agent.tar"))
    cluster.apply(namespace_manifest())
    with open(cluster.lab.internet.ca, encoding="ascii") as file:
        ca = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca", "namespace": NAMESPACE}, "data": {"ca.pem": file.read()}}
    cluster.apply(json.dumps(ca))


def pod_manifest(name, labels=None):
    container = {"name": "agent", "image": IMAGE, "imagePullPolicy": "Never", "volumeMounts": [{"name": "ca", "mountPath": "/ca"}],
                 "securityContext": {"runAsUser": 65534, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    # A blocked connect gives up after 3 s instead of 127 s.
    sysctls = [{"name": "net.ipv4.tcp_syn_retries", "value": "1"}]
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE, "labels": ROLE if labels is None else labels},
                       "spec": {"containers": [container], "volumes": [{"name": "ca", "configMap": {"name": "ca"}}],
                                "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0,
                                "securityContext": {"sysctls": sysctls}}})


class AgentPod:
    def __init__(self, cluster, name, labels=None):
        self.cluster, self.name = cluster, name
        cluster.apply(pod_manifest(name, labels))
        self.object = cluster.await_pod(name, NAMESPACE)

    @property
    def address(self):
        return self.object["status"]["podIP"]

    def argv(self, *words):
        return ["kubectl", "--kubeconfig", self.cluster.control.kubeconfig, "exec", self.name, "-n", NAMESPACE, "--", *words]

    def steps(self):
        """Runs the five steps; yields each as it ends: {"step", "ok", "seen", "seconds"}."""
        argv = ["env", "HOME=" + self.cluster.folder, *self.argv("python3", "/agent.py", "/ca/ca.pem")]
        agent = subprocess.Popen(self.cluster.node.wrap(argv), stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
                                 start_new_session=True)
        self.cluster.lab.undo.add(agent.kill)
        for line in agent.stdout:
            yield json.loads(line)
        agent.wait()

    def python(self, code, timeout=30):
        """Runs Python in the pod; returns what it printed, or its error's last line."""
        result = self.cluster.exec(self.name, NAMESPACE, "python3", "-c", code, check=False, timeout=timeout)
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
        self.cluster.kubectl("delete", "pod", self.name, "-n", NAMESPACE, "--grace-period=0", "--force", "--wait=false")
        self.cluster.await_gone("pod", self.name, "-n", NAMESPACE)
