# SPDX-License-Identifier: Apache-2.0
"""etcd, the API server, the controller manager and the scheduler, each a process on the node."""
import os

from lab.commands import wait_until

NODE_NAME = "node-1"
SERVICE_RANGE = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"  # the first address of the range is the `kubernetes` Service's
DOMAIN = "cluster.local"
PORT = 6443
# Tokens in pods are bound and expire, as on every current cluster; 1.20 has it behind a gate.
GATES = "BoundServiceAccountTokenVolume=true"


class ControlPlane:
    """
    node: where it runs. address: the node's. programs: folder of the servers. authority: issues their certificates.
    kubeconfig: an administrator's.
    """

    def __init__(self, node, address, programs, authority):
        self.node, self.address, self.programs, self.authority = node, address, programs, authority
        self.daemons = {}
        self.server = f"https://{address}:{PORT}"
        self.kubeconfig = authority.kubeconfig("admin", self.server, "kubernetes-admin", "system:masters")

    def start(self):
        # In memory: nothing here outlives the run, so nothing waits for the disk.
        self._start("etcd", ["etcd", "--data-dir=/run/etcd", "--listen-client-urls=http://127.0.0.1:2379",
                             "--advertise-client-urls=http://127.0.0.1:2379", "--listen-peer-urls=http://127.0.0.1:2380"])
        wait_until(lambda: self.daemons["etcd"].require_alive() or self.node.ns.connect("127.0.0.1", 2379) == "ok",
                   "etcd to listen", 20)
        self.start_api_server()
        self.await_ready()
        for name, user in (("kube-controller-manager", "system:kube-controller-manager"), ("kube-scheduler", "system:kube-scheduler")):
            config = self.authority.kubeconfig(name, self.server, user)
            self._start(name, [self.program(name), "--kubeconfig", config, "--leader-elect=false", "--bind-address=127.0.0.1",
                               *self._more_options(name)])

    def program(self, name):
        return os.path.join(self.programs, name)

    def _start(self, name, argv):
        self.daemons[name] = self.node.daemon(name, argv)

    def _more_options(self, name):
        if name == "kube-scheduler":
            return []
        keys = self.authority
        return ["--service-account-private-key-file", keys.token_key, "--root-ca-file", keys.ca, "--use-service-account-credentials",
                "--feature-gates", GATES]

    def start_api_server(self):
        keys = self.authority
        names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + DOMAIN]
        server, server_key = keys.issue("api-server", "kube-apiserver", hosts=[self.address, API_SERVICE, "127.0.0.1", *names])
        client, client_key = keys.issue("api-server-kubelet-client", "kube-apiserver", "system:masters")
        self._start("kube-apiserver", [
            self.program("kube-apiserver"), "--etcd-servers=http://127.0.0.1:2379", "--bind-address", self.address,
            "--advertise-address", self.address, "--secure-port", str(PORT), "--insecure-port=0",
            "--service-cluster-ip-range", SERVICE_RANGE, "--tls-cert-file", server, "--tls-private-key-file", server_key,
            "--client-ca-file", keys.ca, "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
            "--service-account-issuer=https://kubernetes.default.svc." + DOMAIN, "--service-account-key-file", keys.token_public,
            "--service-account-signing-key-file", keys.token_key, "--kubelet-client-certificate", client,
            "--kubelet-client-key", client_key, "--kubelet-certificate-authority", keys.ca,
            "--kubelet-preferred-address-types=InternalIP", "--feature-gates", GATES,
            "--allow-privileged=false"])  # so nothing of Postern's can be privileged

    def stop_api_server(self):
        """It is gone when this returns. SIGTERM alone would have it serve the watches that it has for another minute, and the
        daemon's own process is the nsenter before it."""
        self.node.run(["kill", "-KILL", *self.node.run(["pgrep", "-x", "kube-apiserver"]).out.split()])
        self.daemons["kube-apiserver"].stop()

    def await_ready(self, timeout=60):
        def ready():
            self.daemons["kube-apiserver"].require_alive()
            return self.node.run(["kubectl", "--kubeconfig", self.kubeconfig, "get", "--raw", "/readyz"], check=False).status == 0
        wait_until(ready, "the API server to be ready", timeout)
