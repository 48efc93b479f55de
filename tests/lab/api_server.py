# SPDX-License-Identifier: Apache-2.0
"""A scripted Kubernetes API server: lists, watches, one Service, events and policy objects, over TLS, on the node's loopback.

For what depends on *when* posternd hears of something, which a real control plane does not let a test
choose. That posternd and a real API server understand each other is what tests/e2e shows.
"""
import http.server
import json
import os
import socket
import ssl
import threading
import time
import urllib.parse

from .commands import run

PORT = 6443
WATCH_POLL_S = 0.05
TOKEN = "lab-token"
CORE = {"/api/v1/pods": "pods", "/api/v1/namespaces": "namespaces", "/api/v1/nodes": "nodes", "/api/v1/services": "services",
        "/apis/discovery.k8s.io/v1/endpointslices": "endpointslices"}


class ApiServer:
    """
    put_pod, put_namespace, remove_pod, remove_namespace: what the cluster is. kubeconfig: path of one for it.
    start, stop: the server; while it is stopped nobody listens. service: the Service kube-system/kube-dns or None.
    forbid: paths' first parts that are answered with 403. events: what was posted.
    define: a kind of policy objects; of others it says 404. put_policy, remove_policy, condition_of: its objects.
    hold: paths' first parts whose answers wait until it is empty. patches: how many statuses were written.
    put_node, put_service, put_endpoints: what policies may speak of beside pods. asked: paths that were listed or watched.
    """

    def __init__(self, namespace, folder, node="lab-node"):
        self.namespace, self.folder, self.node = namespace, folder, node
        self.lock = threading.Condition()
        self.version = 1
        self.objects = {plural: {} for plural in CORE.values()}
        self.log = []  # (version, kind, watch event)
        self.service, self.forbid, self.events = None, (), []
        self.hold, self.patches, self.plurals, self.kinds, self.asked = (), 0, dict(CORE), {}, set()
        self.server = None
        os.makedirs(folder, exist_ok=True)
        self._make_certificate()
        self._write_kubeconfig()

    def _make_certificate(self):
        self.ca = os.path.join(self.folder, "api-ca.pem")
        ca_key, self.key, self.cert = (os.path.join(self.folder, f) for f in ("api-ca.key", "api.key", "api.pem"))
        new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        run([*new, "-subj", "/CN=Lab cluster CA", "-keyout", ca_key, "-out", self.ca, "-addext",
             "keyUsage=critical,keyCertSign"])
        run([*new, "-subj", "/CN=Lab API server", "-CA", self.ca, "-CAkey", ca_key, "-keyout", self.key, "-out", self.cert,
             "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])

    def _write_kubeconfig(self):
        self.kubeconfig = os.path.join(self.folder, "kubeconfig")
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "lab",
                  "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab", "namespace": "postern-system"}}],
                  "clusters": [{"name": "lab", "cluster": {"server": f"https://127.0.0.1:{PORT}",
                                                           "certificate-authority": self.ca}}],
                  "users": [{"name": "lab", "user": {"token": TOKEN}}]}
        with open(self.kubeconfig, "w", encoding="ascii") as file:
            json.dump(config, file)

    # The cluster

    def _put(self, kind, key, thing):
        with self.lock:
            self.version += 1
            thing["metadata"]["resourceVersion"] = str(self.version)
            event = "MODIFIED" if key in self.objects[kind] else "ADDED"
            self.objects[kind][key] = thing
            self.log.append((self.version, kind, {"type": event, "object": thing}))
            self.lock.notify_all()

    def _remove(self, kind, key):
        with self.lock:
            self.version += 1
            thing = self.objects[kind].pop(key)
            thing["metadata"]["resourceVersion"] = str(self.version)
            self.log.append((self.version, kind, {"type": "DELETED", "object": thing}))
            self.lock.notify_all()

    def put_namespace(self, name, labels=None):
        self._put("namespaces", name, {"kind": "Namespace", "apiVersion": "v1",
                                       "metadata": {"name": name, "uid": f"ns-{name}", "labels": labels or {}}})

    def remove_namespace(self, name):
        self._remove("namespaces", name)

    def put_pod(self, space, name, *, labels=None, ips=(), phase="Pending", host_network=False, dns_policy="ClusterFirst",
                searches=(), uid=None, started=None, node=None):
        """started: when the node's kubelet began with it, in seconds since 1970. node: the lab's own by default."""
        spec = {"nodeName": node or self.node, "dnsPolicy": dns_policy, "containers": []}
        if host_network:
            spec["hostNetwork"] = True
        if searches:
            spec["dnsConfig"] = {"searches": list(searches)}
        status = {"phase": phase}
        if started:
            status["startTime"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started))
        if ips:
            status["podIP"] = ips[0]
            status["podIPs"] = [{"ip": ip} for ip in ips]
        self._put("pods", f"{space}/{name}",
                  {"kind": "Pod", "apiVersion": "v1", "spec": spec, "status": status,
                   "metadata": {"name": name, "namespace": space, "uid": uid or f"uid-{space}-{name}",
                                "labels": labels or {}}})

    def remove_pod(self, space, name):
        self._remove("pods", f"{space}/{name}")

    def define(self, kind, plural, api_version="postern.dev/v1alpha1"):
        with self.lock:
            self.objects[plural] = {}
            self.plurals[f"/apis/{api_version}/{plural}"] = plural
            self.kinds[kind] = (plural, api_version)

    def put_policy(self, kind, name, spec, space=None):
        """Its generation counts the changes of its spec, as the API server does it; its status stays."""
        plural, api_version = self.kinds[kind]
        key = f"{space}/{name}"
        before = self.objects[plural].get(key)
        thing = {"kind": kind, "apiVersion": api_version, "spec": spec,
                 "metadata": {"name": name, "uid": f"uid-{kind}-{key}",
                              "generation": before["metadata"]["generation"] + 1 if before else 1}}
        if space:
            thing["metadata"]["namespace"] = space
        if before and "status" in before:
            thing["status"] = before["status"]
        self._put(plural, key, thing)

    def remove_policy(self, kind, name, space=None):
        self._remove(self.kinds[kind][0], f"{space}/{name}")

    def condition_of(self, kind, name, space=None):
        """The condition Accepted that posternd wrote, or None."""
        with self.lock:
            status = self.objects[self.kinds[kind][0]][f"{space}/{name}"].get("status", {})
        return next((each for each in status.get("conditions", []) if each["type"] == "Accepted"), None)

    def write_status(self, path, patch):
        """@return HTTP status, body."""
        parts = path.split("/")  # "", apis, GROUP, VERSION, [namespaces, NAME,] PLURAL, NAME, status
        space = parts[5] if parts[4] == "namespaces" else None
        plural, name = parts[-3], parts[-2]
        with self.lock:
            thing = self.objects.get(plural, {}).get(f"{space}/{name}")
        if thing is None:
            return 404, {"kind": "Status", "code": 404, "message": f"{path} not found"}
        if patch["metadata"]["resourceVersion"] != thing["metadata"]["resourceVersion"]:
            return 409, {"kind": "Status", "code": 409, "message": "the object has been modified"}
        changed = json.loads(json.dumps(thing))
        changed["status"] = patch["status"]
        self.patches += 1
        self._put(plural, f"{space}/{name}", changed)
        return 200, changed

    def put_node(self, name, addresses, labels=None):
        self._put("nodes", name, {"kind": "Node", "apiVersion": "v1", "spec": {},
                                  "metadata": {"name": name, "uid": f"node-{name}", "labels": labels or {}},
                                  "status": {"addresses": [{"type": "InternalIP", "address": each} for each in addresses]}})

    def put_service(self, space, name, address, *, port=80, selector=None, labels=None):
        self._put("services", f"{space}/{name}",
                  {"kind": "Service", "apiVersion": "v1",
                   "metadata": {"name": name, "namespace": space, "uid": f"service-{space}-{name}", "labels": labels or {}},
                   "spec": {"clusterIP": address, "clusterIPs": [address], "selector": selector or {},
                            "ports": [{"port": port, "targetPort": port, "protocol": "TCP"}]}})

    def put_endpoints(self, space, service, addresses, port=80):
        self._put("endpointslices", f"{space}/{service}",
                  {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "addressType": "IPv4",
                   "metadata": {"name": f"{service}-1", "namespace": space, "uid": f"slice-{space}-{service}",
                                "labels": {"kubernetes.io/service-name": service}},
                   "endpoints": [{"addresses": [each]} for each in addresses], "ports": [{"port": port, "protocol": "TCP"}]})

    def is_shown(self, query, thing):
        """Does a list or watch with this query show it?"""
        selector = query.get("fieldSelector")
        return not selector or selector == f"spec.nodeName={thing.get('spec', {}).get('nodeName')}"

    # The server

    def start(self):
        listener = self.namespace.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", PORT))
        listener.listen(16)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        self.server = _Server(self, listener, context)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": WATCH_POLL_S}, daemon=True).start()
        return self

    def stop(self):
        if self.server:
            server, self.server = self.server, None
            server.ending = True
            server.shutdown()
            server.server_close()
            server.cut_all()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, api, listener, context):
        super().__init__(("127.0.0.1", PORT), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.api, self.context, self.ending = api, context, False
        self.connections = []

    def get_request(self):
        connection, address = self.socket.accept()
        connection.settimeout(5)
        wrapped = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self.connections.append(wrapped)
        return wrapped, address

    def cut_all(self):
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # it has ended already
                pass

    def handle_error(self, _request, _address):
        pass  # a client that went away


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_words):
        pass

    def _answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _refuse(self, status, message):
        self._answer(status, {"kind": "Status", "status": "Failure", "code": status, "message": message})

    def do_GET(self):  # noqa: N802: the base class's name
        api = self.server.api
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if self.headers.get("Authorization") != "Bearer " + TOKEN:
            return self._refuse(401, "Unauthorized")
        if url.path.startswith(api.forbid) and api.forbid:
            return self._refuse(403, f"{url.path} is forbidden")
        while api.hold and url.path.startswith(api.hold) and not self.server.ending:
            time.sleep(WATCH_POLL_S)
        if url.path == "/api/v1/namespaces/kube-system/services/kube-dns":
            return self._answer(200, api.service) if api.service else self._refuse(404, "services \"kube-dns\" not found")
        api.asked.add(self.path.split("&resourceVersion")[0].split("resourceVersion")[0].rstrip("?"))
        kind = api.plurals.get(url.path)
        if kind is None:
            return self._refuse(404, "no such thing")
        if query.get("fieldSelector", f"spec.nodeName={api.node}") != f"spec.nodeName={api.node}":
            return self._refuse(400, f"this server knows one node's posternd: {query.get('fieldSelector')}")
        if query.get("watch") in ("1", "true"):
            return self._watch(kind, query)
        with api.lock:
            items = [thing for thing in api.objects[kind].values() if api.is_shown(query, thing)]
            version = str(api.version)
        return self._answer(200, {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items})

    def do_POST(self):  # noqa: N802: the base class's name
        api = self.server.api
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if api.forbid and self.path.startswith(api.forbid):
            return self._refuse(403, f"{self.path} is forbidden")
        api.events.append(body)
        self._answer(201, body)

    def do_PATCH(self):  # noqa: N802: the base class's name
        api = self.server.api
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if api.forbid and self.path.startswith(api.forbid):
            return self._refuse(403, f"{self.path} is forbidden")
        if self.headers["Content-Type"] != "application/merge-patch+json" or not self.path.endswith("/status"):
            return self._refuse(415, f"{self.headers['Content-Type']} of {self.path}")
        return self._answer(*api.write_status(self.path, body))

    def _chunk(self, data):
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _watch(self, kind, query):
        api = self.server.api
        version, seconds = int(query.get("resourceVersion") or 0), float(query.get("timeoutSeconds") or 60)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.server.ending:
            with api.lock:
                if not any(entry[0] > version for entry in api.log):
                    api.lock.wait(WATCH_POLL_S)
                fresh = [entry for entry in api.log if entry[0] > version]
                texts = [json.dumps(entry[2]).encode() + b"\n" for entry in fresh
                         if entry[1] == kind and api.is_shown(query, entry[2]["object"])]
                version = max([version, *(entry[0] for entry in fresh)])
            for text in texts:
                self._chunk(text)
        if not self.server.ending:
            self._chunk(b"")
