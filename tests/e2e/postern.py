# SPDX-License-Identifier: Apache-2.0
"""Postern in the cluster, handled as its user handles it: kubectl, the manifests, a ConfigMap of policies."""
import datetime
import json
import os
import tempfile

from lab.commands import wait_until

from .worker import SOCKET

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NAMESPACE = "postern-system"
SCOPE_LABEL = "postern.dev/enforce"
BASE, UNINSTALL = "manifests/base", "manifests/uninstall"
CONTAINERS = ("agent", "dns", "observer", "setup")


def now_utc():
    """A time to compare with those of a container's log."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")


class Postern:
    """archive: its image. say: takes lines that tell what happens."""

    def __init__(self, cluster, archive, story):
        self.cluster, self.archive, self.story = cluster, archive, story

    def kustomize(self, verb, folder, *words):
        result = self.cluster.kubectl(verb, "-k", os.path.join(ROOT, folder), *words, timeout=120)
        self.story.show(f"kubectl {' '.join([verb, '-k', folder, *words])}", result.out)

    def show_kubectl(self, *words):
        self.story.show("kubectl " + " ".join(words), self.cluster.kubectl(*words, timeout=120).out)

    def install(self):
        names = self.cluster.worker.load_image(self.archive)
        self.story.note(f"imported {' '.join(names)} from {os.path.relpath(self.archive, ROOT)}")
        self.apply_base()
        self.await_ready()
        self.show_kubectl("rollout", "status", "daemonset/postern", "-n", NAMESPACE)

    def apply_base(self):
        # kubectl asks this old server's API description, which does not know the CEL rules of CRDs, and would call them a mistake.
        self.kustomize("apply", BASE, "--validate=false")

    def await_ready(self, timeout=120):
        """Until the DaemonSet's pod is Ready; says what its containers said if it does not become it."""
        try:
            return wait_until(self._ready, "the DaemonSet postern to be ready", timeout)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.cluster.kubectl('describe', 'pods', '-n', NAMESPACE, check=False).out[-4000:]}\n"
                               + "\n".join(f"--- {c}\n{self.log(c)[-2000:]}" for c in ("prepare", *CONTAINERS))) from None

    def _ready(self):
        status = self.cluster.get("daemonset", "postern", "-n", NAMESPACE)["status"]
        return status.get("desiredNumberScheduled") and status.get("numberReady") == status["desiredNumberScheduled"]

    def pod(self):
        pods = self.cluster.get("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=postern")["items"]
        return next(pod for pod in pods if not pod["metadata"].get("deletionTimestamp"))

    def container_id(self, container):
        """The runtime's id of a container of the pod, asked while the API server is there."""
        found = next(c for c in self.pod()["status"]["containerStatuses"] if c["name"] == container)
        return found["containerID"].split("://")[1]

    # What a user runs

    def command(self, *words, container="agent", check=True, timeout=30):
        """`kubectl exec ds/postern -- postern WORDS`."""
        return self.cluster.kubectl("exec", "-n", NAMESPACE, "ds/postern", "-c", container, "--", "postern", *words, check=check,
                                    timeout=timeout)

    def show_command(self, *words, lines=40):
        result = self.command(*words, check=False)
        self.story.show(f"kubectl exec -n {NAMESPACE} ds/postern -- postern {' '.join(words)}", result.out + result.err, lines)
        return result.out

    def status(self):
        """`postern status`: as it is printed; it exits with 3 when something is wrong, and says what."""
        return self.command("status", check=False).out

    def log(self, container, since="", workload="postern"):
        """What a container of the pod said, also before it was started again, as far as the kubelet keeps it: all, or since
        a time of now_utc(). Read on the node: needs no API server."""
        folder = self.cluster.node.path("/var/log/pods")
        lines = []
        for pod in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            if pod.startswith(f"{NAMESPACE}_{workload}-") and os.path.isdir(os.path.join(folder, pod, container)):
                for name in sorted(os.listdir(os.path.join(folder, pod, container)), key=lambda n: (len(n), n)):
                    with open(os.path.join(folder, pod, container, name), encoding="utf-8", errors="replace") as file:
                        # time, stream and a flag come before what was written.
                        lines += [line.rstrip("\n").split(" ", 3)[-1] for line in file if line > since]
        return "\n".join(lines)

    def set_policies(self, policies):
        """The ConfigMap that holds the policy files: {file name: text}."""
        folder = tempfile.mkdtemp(dir=self.cluster.folder, prefix="policies-")
        for name, text in policies.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        words = ["create", "configmap", "postern-policies", "-n", NAMESPACE, "--from-file", folder, "--dry-run=client", "-o", "yaml"]
        self.cluster.apply(self.cluster.kubectl(*words).out)

    def kill(self, container):
        """SIGKILL to a container's first process, by the runtime; the kubelet starts it again."""
        self.cluster.node.run(["ctr", "--address", SOCKET, "--namespace", "k8s.io", "tasks", "kill", "--signal", "SIGKILL",
                               self.container_id(container)])

    def figures(self):
        """[(container, processor seconds since its start, MiB of memory in use)], as the kubelet measures them."""
        stats = json.loads(self.cluster.kubectl("get", "--raw", "/api/v1/nodes/node-1/proxy/stats/summary").out)
        mine = next((p for p in stats["pods"] if p["podRef"]["namespace"] == NAMESPACE), {"containers": []})
        return [(c["name"], c["cpu"].get("usageCoreNanoSeconds", 0) / 1e9, c["memory"].get("workingSetBytes", 0) / 2**20)
                for c in mine["containers"]]

    def uninstall(self):
        """As docs/kubernetes.md says it."""
        self.cluster.kubectl("delete", "daemonset", "postern", "-n", NAMESPACE, timeout=120)
        self.story.show(f"kubectl delete daemonset postern -n {NAMESPACE}", "")
        self.kustomize("apply", UNINSTALL)
        try:
            wait_until(lambda: self.cluster.get("daemonset", "postern-uninstall", "-n", NAMESPACE)["status"].get("numberReady") == 1,
                       "the uninstall pod to be ready", 90)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; its log:\n{self.log('remove', workload='postern-uninstall')[-2000:]}") from None
        self.show_kubectl("rollout", "status", "daemonset/postern-uninstall", "-n", NAMESPACE)
        self.kustomize("delete", UNINSTALL)
        self.kustomize("delete", BASE, "--ignore-not-found")  # its DaemonSet is gone
        self.cluster.await_gone("namespace", NAMESPACE)
