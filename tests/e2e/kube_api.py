# SPDX-License-Identifier: Apache-2.0
"""KubeApi: etcd and kube-apiserver alone in a network namespace, and requests to them. No kubelet, no controllers:
what those would do (an address for a pod, the end of a namespace) a test does itself."""
import http.client
import json
import os
import ssl

from lab.commands import wait_until

ADDRESS, PORT = "10.77.0.1", 6443
NAME = "api.postern.test"
ADMIN = "postern-test-admin"


class KubeApi:
    """namespace: where it runs. programs: folder of kube-apiserver. authority: issues the certificates."""

    def __init__(self, namespace, programs, authority, folder):
        self.namespace, self.programs, self.authority, self.folder = namespace, programs, authority, folder
        self.server, self.etcd = None, None
        namespace.ip("addr", "add", ADDRESS + "/32", "dev", "lo")
        # 127.0.0.2 reaches it, too, and is not in its certificate.
        self.certificate = authority.issue("api-server", "kube-apiserver", hosts=[ADDRESS, NAME])
        self.admin = authority.issue("admin", ADMIN, "system:masters")
        self.tls = ssl.create_default_context(cafile=authority.ca)
        self.tls.load_cert_chain(*self.admin)

    def start_etcd(self):
        self.etcd = self.namespace.daemon("etcd", [
            "etcd", "--data-dir", os.path.join(self.folder, "etcd"), "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379", "--listen-peer-urls=http://127.0.0.1:2380", "--unsafe-no-fsync"])
        wait_until(lambda: self.etcd.require_alive() or self.namespace.connect("127.0.0.1", 2379) == "ok", "etcd to listen", 20)

    def start(self, *options):
        certificate, key = self.certificate
        keys = self.authority
        self.server = self.namespace.daemon("kube-apiserver", [
            os.path.join(self.programs, "kube-apiserver"), "--etcd-servers=http://127.0.0.1:2379", "--bind-address=0.0.0.0",
            "--advertise-address", ADDRESS, "--secure-port", str(PORT), "--tls-cert-file", certificate,
            "--tls-private-key-file", key, "--client-ca-file", keys.ca, "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount", "--service-cluster-ip-range=10.96.0.0/24",
            "--service-account-issuer=https://postern.test", "--service-account-key-file", keys.token_public,
            "--service-account-signing-key-file", keys.token_key, *options])
        wait_until(self._ready, "the API server to be ready", 60)

    def _ready(self):
        self.server.require_alive()
        try:
            return self.ask("GET", "/readyz", raw=True)[0] == 200
        except OSError:
            return False

    def stop(self):
        for daemon in (self.server, self.etcd):
            if daemon:
                daemon.stop()

    def ask(self, method, path, body=None, kind="application/json", raw=False):
        """One request as administrator: (status, object)."""
        connection = http.client.HTTPConnection(ADDRESS, PORT, timeout=10)
        plain = self.namespace.socket()
        plain.settimeout(10)
        try:
            plain.connect((ADDRESS, PORT))
            connection.sock = self.tls.wrap_socket(plain, server_hostname=ADDRESS)
            connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": kind})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, text if raw else json.loads(text)
        finally:
            plain.close()
            connection.close()

    def must(self, method, path, body=None, kind="application/json"):
        status, answer = self.ask(method, path, body, kind)
        if not 200 <= status < 300:
            raise AssertionError(f"{method} {path}: {status} {answer.get('message', answer)}")
        return answer

    def patch(self, path, body):
        return self.must("PATCH", path, body, "application/merge-patch+json")

    def compact(self):
        """Has etcd forget every version but the newest."""
        def etcd(path, body):
            connection = http.client.HTTPConnection("127.0.0.1", 2379, timeout=10)
            connection.sock = self.namespace.socket()
            connection.sock.connect(("127.0.0.1", 2379))
            try:
                connection.request("POST", path, json.dumps(body))
                return json.loads(connection.getresponse().read())
            finally:
                connection.close()
        revision = etcd("/v3/kv/range", {"key": "AA=="})["header"]["revision"]
        answer = etcd("/v3/kv/compaction", {"revision": revision, "physical": True})
        if "error" in answer:
            raise AssertionError(f"etcd: {answer}")

    # Objects

    def make_namespace(self, name, **labels):
        return self.must("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})

    def end_namespace(self, name):
        self.must("DELETE", f"/api/v1/namespaces/{name}")
        space = self.must("GET", f"/api/v1/namespaces/{name}")
        space["spec"]["finalizers"] = []
        self.must("PUT", f"/api/v1/namespaces/{name}/finalize", space)

    def make_pod(self, space, name, node="node-1", labels=None, **spec):
        return self.must("POST", f"/api/v1/namespaces/{space}/pods", {
            "metadata": {"name": name, "labels": labels or {}},
            "spec": {"nodeName": node, "containers": [{"name": "c", "image": "none"}], **spec}})["metadata"]["uid"]

    def set_status(self, space, name, **status):
        self.patch(f"/api/v1/namespaces/{space}/pods/{name}/status", {"status": status})

    def end_pod(self, space, name, grace_s=0):
        self.must("DELETE", f"/api/v1/namespaces/{space}/pods/{name}?gracePeriodSeconds={grace_s}")

    def make_account(self, space, name):
        self.must("POST", f"/api/v1/namespaces/{space}/serviceaccounts", {"metadata": {"name": name}})

    def token_of(self, space, name):
        return self.must("POST", f"/api/v1/namespaces/{space}/serviceaccounts/{name}/token", {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}})["status"]["token"]

    def allow(self, space, *accounts):
        """The rights that agent/kube/README.md lists."""
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        self.must("POST", rbac + "/clusterroles", {
            "metadata": {"name": "postern"},
            "rules": [{"apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": ["get", "list", "watch"]},
                      {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]}]})
        self.must("POST", rbac + "/clusterrolebindings", {
            "metadata": {"name": "postern"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "postern"},
            "subjects": [{"kind": "ServiceAccount", "namespace": space, "name": name} for name in accounts]})
