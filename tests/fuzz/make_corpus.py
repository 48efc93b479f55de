#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of the fuzz targets into corpus/TARGET/. What a fuzzer found lies beside them and stays."""
import json
import os
import struct

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
A, CNAME, SOA, PTR, AAAA, OPT, RRSIG, HTTPS = 1, 5, 6, 12, 28, 41, 46, 65


def seed(target, name, data):
    os.makedirs(os.path.join(HERE, target), exist_ok=True)
    with open(os.path.join(HERE, target, name), "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())


# --- DNS ---

def name(text):
    labels = [label for label in text.split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def record(owner, kind, data, ttl=60, rclass=1):
    return (owner if isinstance(owner, bytes) else name(owner)) + struct.pack(">HHIH", kind, rclass, ttl, len(data)) + data


def opt(payload=1232, ttl=0, options=b""):
    return record(b"\0", OPT, options, ttl, payload)


def soa(zone):
    return record(zone, SOA, name("ns." + zone) + name("admin." + zone) + struct.pack(">IIIII", 1, 3600, 600, 86400, 60), 300)


def message(flags, questions, answers=(), authorities=(), additionals=(), ident=0x1234):
    head = struct.pack(">HHHHHH", ident, flags, len(questions), len(answers), len(authorities), len(additionals))
    return head + b"".join(questions) + b"".join(answers) + b"".join(authorities) + b"".join(additionals)


def question(text, kind=A, qclass=1):
    return name(text) + struct.pack(">HH", kind, qclass)


def query(text, kind=A, additionals=()):
    return message(0x0100, [question(text, kind)], additionals=additionals)


V4 = bytes([192, 0, 2, 1])
V6 = bytes.fromhex("20010db8000000000000000000000001")


def queries():
    ede = struct.pack(">HH", 8, 7) + struct.pack(">HBB", 1, 24, 0) + V4[:3]
    seed("query", "plain", query("api.example.com"))
    seed("query", "case", query("API.Example.COM", AAAA))
    seed("query", "edns_do", query("api.example.com", A, [opt(4096, 0x8000)]))
    seed("query", "edns_options", query("api.example.com", HTTPS, [opt(1232, 0, ede)]))
    seed("query", "bad_version", query("api.example.com", A, [opt(1232, 0x00010000)]))
    seed("query", "root", query("", SOA))
    seed("query", "longest_name", query(".".join(["x" * 63] * 3 + ["y" * 61])))
    seed("query", "pointer", message(0x0100, [b"\xc0\x0c" + struct.pack(">HH", 1, 1)]))
    seed("query", "two_questions", message(0x0100, [question("a.example"), question("b.example")]))
    seed("query", "update", message(0x2800, [question("a.example")]))


def answers():
    pointer = b"\xc0\x0c"
    chain = [record(pointer, CNAME, name("cdn.example.net"), 300), record("CDN.example.net", A, V4), record("x.example", A, V4)]
    signature = struct.pack(">HBBIIIH", A, 13, 2, 60, 2000000000, 1700000000, 4711) + name("example.com") + b"s" * 64
    head = bytes([0, 0])
    seed("answer", "plain", head + message(0x8180, [question("a.example")], [record(pointer, A, V4), record(pointer, A, V4, 5)]))
    seed("answer", "chain", head + message(0x8180, [question("www.example.com")], chain, additionals=[opt()]))
    seed("answer", "aaaa", head + message(0x8180, [question("a.example", AAAA)], [record(pointer, AAAA, V6)]))
    seed("answer", "signed", bytes([1, 240]) + message(0x81A0, [question("a.example")], [record(pointer, A, V4), record(pointer, RRSIG, signature)]))
    seed("answer", "nodata", head + message(0x8180, [question("a.example.com")], authorities=[soa("example.com")]))
    seed("answer", "nxdomain", head + message(0x8183, [question("a.example.com")], authorities=[soa("com")]))
    seed("answer", "many", head + message(0x8180, [question("a.example")], [record(pointer, A, bytes([192, 0, 2, i])) for i in range(70)]))
    seed("answer", "loop", head + message(0x8180, [question("a.example")], [record(pointer, CNAME, pointer)]))
    seed("answer", "truncated", head + message(0x8380, [question("a.example")]))
    seed("answer", "servfail", head + message(0x8182, [question("a.example")]))


def resolver_scripts():
    def ask(sandbox, text, kind=A, extra=()):
        wire = query(text, kind, extra)
        return bytes([(sandbox - 1) << 4, len(wire)]) + wire

    def answer(records, count):
        return bytes([2]) + struct.pack(">H", len(records)) + records + bytes([count])

    pointer = b"\xc0\x0c"
    one = record(pointer, A, V4, 300)
    seed("resolver", "allowed", ask(1, "a.example") + answer(one, 1) + ask(1, "A.Example") + bytes([6, 200]) + ask(1, "a.example"))
    seed("resolver", "denied", ask(1, "evil.example") + ask(2, "a.example") + ask(3, "a.example") + ask(1, "com"))
    seed("resolver", "shared", ask(1, "x.b.example") + ask(2, "x.b.example") + answer(record(pointer, A, bytes([10, 0, 0, 1])) + one, 2))
    seed("resolver", "chain", ask(1, "x.b.example", A, [opt(4096)]) + answer(record(pointer, CNAME, name("cdn.net")) + record("cdn.net", A, V4), 2))
    seed("resolver", "staged", bytes([5, 0, 1]) + ask(1, "c.y.example") + answer(one, 1) + bytes([6, 1]) + bytes([4, 1]))
    seed("resolver", "held", bytes([5, 0, 1]) + ask(1, "c.y.example") + answer(one, 1) + bytes([6, 9]))
    seed("resolver", "full", bytes([15]) + ask(1, "a.example") + answer(one * 3, 3) + ask(1, "a.example"))
    seed("resolver", "pointer", ask(1, "a.example") + answer(one, 1) + ask(1, "1.2.0.192.in-addr.arpa", PTR))
    seed("resolver", "types", b"".join(ask(1, "a.example", kind) for kind in (CNAME, AAAA, HTTPS, 255, 33)))
    seed("resolver", "lookup", ask(2, "lookup.example") + answer(one, 1) + bytes([0xD7]) + ask(2, "lookup.example"))


# --- protobuf, by hand: only lengths and varints ---

def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def blob(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def feeds():
    mapped = bytes(10) + b"\xff\xff" + bytes([10, 0, 0, 0])
    port = number(1, 6) + number(2, 443) + number(3, 443)
    rule = blob(1, name("*.example.com")) + number(2, 77) + number(3, 3) + number(4, 0x80000001) + blob(6, port)
    everything = blob(1, name("a.*.example")) + number(2, 78) + number(3, 1) + number(5, 1)
    tail = blob(6, soa("")) + blob(7, opt())
    policy = number(1, 4) + blob(2, b"agent") + blob(3, rule) + blob(3, everything) + blob(4, blob(1, mapped) + number(2, 104)) + number(5, 120) + tail
    settings = blob(1, blob(1, mapped) + number(2, 53)) + number(2, 30)
    sandbox = number(1, 9) + number(2, 4) + number(3, 7) + number(4, 5) + number(5, 8) + blob(6, name("svc.cluster.local"))
    seed("feed_reader", "settings", b"\0" + settings)
    seed("feed_reader", "policy", b"\1" + policy)
    seed("feed_reader", "sandbox", b"\2" + sandbox)


def channels():
    def head(size, flags=0, magic=0x50535431):
        return struct.pack("<IIII", magic, 7, size, flags)

    seed("channel", "empty", b"\0" + head(0))
    seed("channel", "body", b"\0" + head(4) + b"body")
    seed("channel", "lies", b"\0" + head(9) + b"body")
    seed("channel", "with_fd", b"\3" + head(4) + b"body")
    seed("channel", "sealed", b"\3" + head(4, 1) + b"body")
    seed("channel", "unsealed", b"\1" + head(4, 1) + b"body")
    seed("channel", "other_magic", b"\0" + head(0, 0, 1))


def names():
    def pair(pattern, wire):
        return bytes([len(pattern)]) + pattern.encode() + wire

    seed("names", "exact", pair("Api.example.com", name("api.EXAMPLE.com")))
    seed("names", "wildcard", pair("*.example.com", name("a.b.example.com")))
    seed("names", "inner", pair("sts.*.cloud.example", name("sts.eu.cloud.example")))
    seed("names", "bytes", pair("a.example", b"\4\0. \"\0"))
    seed("names", "arpa", pair("x", name("1.2.0.192.in-addr.arpa")))
    seed("names", "long", pair("x" * 63 + ".com", name(".".join(["y" * 63] * 3 + ["z" * 61]))))


# --- frames ---

OWN_MAC, HOST_MAC = bytes.fromhex("02000a070002"), bytes.fromhex("02000a070001")
OWN4, NODE4, WEB4 = bytes([10, 7, 0, 2]), bytes([10, 7, 0, 1]), bytes([198, 51, 100, 10])
OWN6, WEB6 = bytes.fromhex("20010db8000700000000000000000002"), bytes.fromhex("20010db8010000000000000000000010")


def ether(kind, body, out=True):
    return (HOST_MAC + OWN_MAC if out else OWN_MAC + HOST_MAC) + struct.pack(">H", kind) + body


def ip4(proto, body, src=OWN4, dst=WEB4):
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0x4000, 64, proto, 0) + src + dst + body


def ip6(proto, body, src=OWN6, dst=WEB6):
    return struct.pack(">IHBB", 6 << 28, len(body), proto, 255) + src + dst + body


def tcp(flags, sport=40000, dport=443):
    return struct.pack(">HHIIBBHHH", sport, dport, 0, 0, 0x50, flags, 1000, 0, 0)


def udp(dport, sport=40000):
    return struct.pack(">HHHH", sport, dport, 8, 0)


def step(frame, out=True, seconds=0):
    return bytes([seconds << 2 | (0 if out else 1), len(frame)]) + frame


def frames():
    syn = step(ether(0x0800, ip4(6, tcp(2))))
    syn_ack = step(ether(0x0800, ip4(6, tcp(18, 443, 40000), WEB4, OWN4), False), False)
    ack = step(ether(0x0800, ip4(6, tcp(16))), True, 1)
    fin = step(ether(0x0800, ip4(6, tcp(17))))
    arp = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + OWN_MAC + OWN4 + bytes(6) + NODE4
    solicit = ip6(58, struct.pack(">BBHI", 135, 0, 0, 0) + WEB6 + bytes([1, 1]) + OWN_MAC, OWN6, bytes.fromhex("ff0200000000000000000001ff000010"))
    unreachable = ip4(1, struct.pack(">BBHI", 3, 3, 0, 0) + ip4(6, tcp(2)), WEB4, OWN4)
    seed("frame", "connection", syn + syn_ack + ack + fin)
    seed("frame", "expired", syn + syn_ack + step(ether(0x0800, ip4(6, tcp(16))), True, 63) * 3)
    seed("frame", "dns", step(ether(0x0800, ip4(17, udp(53)))) + step(ether(0x86DD, ip6(17, udp(53)))))
    seed("frame", "neighbours", step(ether(0x0806, arp)) + step(ether(0x86DD, solicit)))
    seed("frame", "v6", step(ether(0x86DD, ip6(6, tcp(2)))))
    seed("frame", "icmp", syn + step(ether(0x0800, unreachable, False), False) + step(ether(0x0800, ip4(1, struct.pack(">BBHI", 8, 0, 0, 9)))))
    seed("frame", "denied", step(ether(0x0800, ip4(6, tcp(2), OWN4, bytes([203, 0, 113, 5])))) + step(ether(0x0800, ip4(6, tcp(2), OWN4, bytes([169, 254, 169, 254])))))
    seed("frame", "reload", syn + syn_ack + bytes([2, 0]) + ack)
    seed("frame", "inbound", step(ether(0x0800, ip4(6, tcp(2, 5000, 80), bytes([10, 7, 0, 9]), OWN4), False), False) + step(ether(0x0800, ip4(6, tcp(18, 80, 5000), OWN4, bytes([10, 7, 0, 9])))))


# --- YAML ---

POLICY = """apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: agent}
spec:
  allow:
  - templates: [tools, {name: tools, groups: [api], params: {region: eu-1}}]
  - names: [api.example.com, "*.files.example.com"]
    ports: [443, 8000-8010/tcp, 443/udp]
  - cidrs: [10.20.0.0/16]
    except: [10.20.9.0/24]
    ports: [5432]
  deny:
  - cidrs: [10.20.1.1/32]
  inbound: [{from: pods}, {cidrs: [10.0.0.0/8], ports: [8080]}]
  dns: {allow: [status.example.com], private: [10.20.0.0/16], grace_s: 120, text: "ask"}
"""

FOREIGN = {
    "cluster": """apiVersion: postern.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: a}
spec:
  tier: Admin
  priority: 7
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}
  selector: {matchExpressions: [{key: app, operator: In, values: [web]}]}
  allow: [{names: ["*{1}.example.com"]}]
  deny: [{cidrs: [10.0.0.0/8]}]
  dns: {mode: as-written}
""",
    "cilium": """apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: a, namespace: shop}
spec:
  endpointSelector: {matchLabels: {"k8s:app": web}}
  egress:
  - toEndpoints: [{matchLabels: {"k8s:io.kubernetes.pod.namespace": kube-system}}]
    toPorts: [{ports: [{port: "53", protocol: ANY}], rules: {dns: [{matchPattern: "*"}, {matchName: a.example}]}}]
  - toFQDNs: [{matchPattern: "api-*.example.com"}, {matchPattern: "**.example.org"}]
    toPorts: [{ports: [{port: "443", protocol: TCP}]}]
  - toCIDRSet: [{cidr: 192.0.2.0/24, except: [192.0.2.8/29]}]
  - toEntities: [world, kube-apiserver]
  - toServices: [{k8sService: {serviceName: web, namespace: shop}}]
  egressDeny: [{toCIDR: [169.254.169.254/32]}]
""",
    "aws": """apiVersion: networking.k8s.aws/v1alpha1
kind: ApplicationNetworkPolicy
metadata: {name: a, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
  - to: [{domainNames: ["*.example.com", example.com]}]
    ports: [{protocol: TCP, port: 443, endPort: 444}]
  - to: [{podSelector: {matchLabels: {app: web}}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]
""",
    "aws_cluster": """apiVersion: networking.k8s.aws/v1alpha1
kind: ClusterNetworkPolicy
metadata: {name: a}
spec:
  tier: Admin
  priority: 10
  subject: {namespaces: {matchLabels: {a: b}}}
  egress:
  - {name: d, action: Deny, to: [{networks: [169.254.169.254/32]}], ports: [{portRange: {protocol: TCP, start: 1, end: 9}}]}
  - {action: Pass, to: [{pods: {namespaceSelector: {}, podSelector: {}}}]}
  - {action: Accept, to: [{domainNames: [a.example]}]}
""",
    "upstream": """apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: b}
spec:
  tier: Baseline
  priority: 100
  subject: {pods: {namespaceSelector: {}, podSelector: {}}}
  egress:
  - {action: Accept, to: [{nodes: {}}, {namespaces: {}}], protocols: [{tcp: {destinationPort: {range: {start: 1, end: 9}}}}, {udp: {}}]}
  - {action: Deny, to: [{networks: [0.0.0.0/0, "::/0"]}]}
""",
    "network": """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: a, namespace: shop, ownerReferences: [{kind: SandboxTemplate, name: t}]}
spec: {podSelector: {}, egress: [{to: [{namespaceSelector: {}}]}, {ports: [{port: 53, protocol: UDP}]}]}
""",
    "gke": """apiVersion: networking.gke.io/v1alpha1
kind: FQDNNetworkPolicy
metadata: {name: a, namespace: shop}
spec: {podSelector: {}, egress: [{matches: [{name: a.example}, {pattern: "*.example.com"}], ports: [{protocol: TCP, port: 443}]}]}
""",
}

TEMPLATE = """apiVersion: postern.dev/v1alpha1
kind: AllowlistTemplate
metadata: {name: tools}
spec:
  version: 2026-11-27
  purpose: what agents need
  parameters: [{name: region, purpose: where, default: "*"}]
  groups:
  - name: api
    purpose: the service
    source: https://example.com/docs
    checked: 2026-11-27
    names: ["sts.{region}.cloud.example", {name: index.example.org, purpose: index, risk: user-content, ports: [8443]}]
    ports: [443]
  - name: nets
    purpose: addresses
    cidrs: [192.0.2.0/24, {cidr: 198.51.100.0/24, purpose: more}]
---
apiVersion: postern.dev/v1alpha1
kind: AllowlistTemplate
metadata: {name: team}
spec:
  version: 2026-11-27.2
  purpose: less of it
  parameters: [{name: zone, purpose: where, default: one}]
  extends: [{name: tools, groups: [api], params: {region: "{zone}"}}]
  except: [index.example.org]
"""


def texts():
    seed("policy_reader", "whole", POLICY)
    seed("policy_reader", "empty_spec", "apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: a}\nspec: {}\n")
    seed("policy_reader", "two", POLICY + "---\n" + POLICY.replace("agent", "other"))
    seed("policy_reader", "mistakes", POLICY.replace("names:", "nmaes:").replace("443", "99999").replace("10.20.0.0/16", "10.20.0.1/16"))
    for kind, document in FOREIGN.items():
        seed("policy_reader", kind, document)
    seed("policy_reader", "all_kinds", "---\n".join([POLICY, *FOREIGN.values()]))
    seed("policy_reader", "anchors", "a: &a [1]\nb: *a\n")
    seed("policy_reader", "not_yaml", "{[}")
    seed("template_reader", "whole", TEMPLATE)
    seed("template_reader", "mistakes", TEMPLATE.replace("{region}", "{zone}").replace("cidrs", "cidr"))
    seed("template_reader", "circle", TEMPLATE.replace("version: 2026-11-27\n", "version: 2026-11-27\n  extends: [team]\n", 1))
    seed("template_reader", "not_yaml", "- - -:\n\t")


CNI_RESULT = """{"kind":"cniCacheV1","containerId":"0a1b","config":"e30=","ifName":"eth0","networkName":"pods",
"cniArgs":[["IgnoreUnknown","1"],["K8S_POD_NAMESPACE","agents"],["K8S_POD_NAME","agent-0"],["K8S_POD_UID","7c1e"]],
"result":{"cniVersion":"0.3.1","interfaces":[{"mac":"ce:0d:00:00:00:01","name":"veth1234"},
{"mac":"ce:0d:00:00:00:02","name":"eth0","sandbox":"/var/run/netns/cni-1"}],
"ips":[{"address":"10.88.0.5/24","gateway":"10.88.0.1","interface":1,"version":"4"}]}}
"""
SERVICE = """{"kind":"Service","spec":{"clusterIP":"10.96.0.10","clusterIPs":["10.96.0.10","fd00::a"],
"selector":{"k8s-app":"kube-dns"},"ports":[{"port":53,"protocol":"UDP"}]}}
"""
CLUSTER_CONFIG = """kubernetes: {node: worker-1, cluster_domain: cluster.local, pod_cidrs: [10.244.0.0/16]}
scope: {label: postern.dev/enforce, namespaces: [agents], except: [tests], enforce: strict}
"""


def cluster_files():
    seed("cluster_files", "cni_result", CNI_RESULT)
    seed("cluster_files", "cni_odd", CNI_RESULT.replace('"10.88.0.5/24"', "7").replace('"eth0","sandbox"', '[],"sandbox"'))
    seed("cluster_files", "service", SERVICE)
    seed("cluster_files", "headless", SERVICE.replace('"10.96.0.10"', '"None"'))
    seed("cluster_files", "kubelet", "kind: KubeletConfiguration\nclusterDNS: [10.96.0.10, fd00::a]\n")
    seed("cluster_files", "resolv_conf", "nameserver 192.0.2.1\nsearch corp.example example\noptions ndots:5\n")
    seed("cluster_files", "config", CLUSTER_CONFIG)
    seed("cluster_files", "config_mistakes", CLUSTER_CONFIG.replace("strict", "always").replace("/16", "/99"))


# --- the Kubernetes API ---

def kube_pod(**status):
    return {"kind": "Pod", "apiVersion": "v1",
            "metadata": {"name": "agent-0", "namespace": "boxes", "uid": "8c1f", "resourceVersion": "41", "labels": {"role": "runtime"},
                         "annotations": {"note": "x"}, "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:metadata": {}}}]},
            "spec": {"nodeName": "n1", "hostNetwork": False, "dnsPolicy": "ClusterFirst", "containers": [{"name": "c", "image": "i"}],
                     "dnsConfig": {"searches": ["corp.example"], "options": [{"name": "ndots", "value": "2"}]}},
            "status": {"phase": "Running", "podIP": "10.0.0.5", "podIPs": [{"ip": "10.0.0.5"}, {"ip": "fd00::5"}], **status}}


def kube():
    def listed(kind, items, **metadata):
        return json.dumps({"kind": kind + "List", "apiVersion": "v1", "metadata": {"resourceVersion": "77", **metadata}, "items": items})

    def event(kind, thing):
        return json.dumps({"type": kind, "object": thing}) + "\n"

    space = {"metadata": {"name": "boxes", "uid": "1", "resourceVersion": "3", "labels": {"postern.dev/enforce": "strict"}}, "spec": {}}
    gone = {"kind": "Status", "metadata": {}, "status": "Failure", "message": "too old resource version: 1 (5)", "reason": "Expired", "code": 410}
    seed("kube_reader", "pods", listed("Pod", [kube_pod(), kube_pod(phase="Failed", podIPs=[{"ip": "no address"}])]))
    seed("kube_reader", "page", listed("Pod", [kube_pod()], **{"continue": "eyJ2IjoibWV0YS5rOHMu", "remainingItemCount": 9}))
    seed("kube_reader", "namespaces", listed("Namespace", [space]))
    seed("kube_reader", "no_items", listed("Pod", None))
    seed("kube_reader", "watch", event("ADDED", kube_pod()) + event("DELETED", kube_pod()))
    seed("kube_reader", "modified", event("MODIFIED", kube_pod()))
    seed("kube_reader", "bookmark", event("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": "99"}, "spec": {"containers": None}}))
    seed("kube_reader", "expired", event("ERROR", gone))
    seed("kube_reader", "status", json.dumps({**gone, "details": {"retryAfterSeconds": 1}, "code": 403}))
    seed("kube_reader", "deep", '{"metadata":{"resourceVersion":"1"},"items":' + "[" * 500 + "]" * 500 + "}")

    def config(cluster, user):
        return json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "c",
                           "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "postern-system"}}],
                           "clusters": [{"name": "k", "cluster": cluster}], "users": [{"name": "u", "user": user}]})

    server = {"server": "https://192.0.2.1:6443"}
    pem = "LS0tLS1CRUdJTiBYLS0tLS0K"
    seed("kubeconfig", "token", config(server, {"token": "abc"}))
    seed("kubeconfig", "files", config({**server, "certificate-authority": "ca.crt", "tls-server-name": "api"}, {"tokenFile": "/t"}))
    seed("kubeconfig", "data", config({**server, "certificate-authority-data": pem}, {"client-certificate-data": pem, "client-key-data": pem}))
    seed("kubeconfig", "refused", config({"server": "http://x", "insecure-skip-tls-verify": True, "proxy-url": "y"}, {"exec": {"command": "z"}}))
    seed("kubeconfig", "dangling", json.dumps({"current-context": "x", "contexts": []}))


if __name__ == "__main__":
    for write in (queries, answers, resolver_scripts, feeds, channels, names, frames, texts, kube, cluster_files):
        write()
