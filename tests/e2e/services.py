# SPDX-License-Identifier: Apache-2.0
"""What kube-proxy and CoreDNS are on other clusters: Service addresses, and names.

Debian packages neither. Service addresses are DNAT rules in the node's namespace, as kube-proxy makes them; the
cluster's name server is unbound in a pod behind the kube-dns Service, as CoreDNS is.
"""
import json

from .control_plane import DOMAIN, SERVICE_RANGE
from .worker import CLUSTER_DNS

UNBOUND_CONF = """server:
  interface: 0.0.0.0
  access-control: 0.0.0.0/0 allow
  username: ""
  chroot: ""
  directory: "/tmp"
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  do-daemonize: no
  so-rcvbuf: 0
  so-sndbuf: 0
  local-zone: "{domain}." static
{names}
forward-zone:
  name: "."
  forward-addr: {upstream}
"""


def dns_manifest(image, upstream, services):
    """kube-dns of services ({"name.namespace": address}): everything else is forwarded to upstream."""
    names = "\n".join(f'  local-data: "{name}.svc.{DOMAIN}. 5 A {address}"' for name, address in sorted(services.items()))
    conf = UNBOUND_CONF.format(domain=DOMAIN, names=names, upstream=upstream)
    labels = {"k8s-app": "kube-dns"}
    where = {"name": "kube-dns", "namespace": "kube-system", "labels": labels}
    container = {"name": "dns", "image": image, "imagePullPolicy": "Never", "ports": [{"containerPort": 53, "protocol": "UDP"}],
                 "volumeMounts": [{"name": "conf", "mountPath": "/etc/unbound"}],
                 "readinessProbe": {"tcpSocket": {"port": 53}, "periodSeconds": 1}}
    items = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": where, "data": {"unbound.conf": conf}},
        {"apiVersion": "v1", "kind": "Service", "metadata": where,
         "spec": {"clusterIP": CLUSTER_DNS, "selector": labels,
                  "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": where,
         "spec": {"selector": {"matchLabels": labels}, "template": {
             "metadata": {"labels": labels},
             "spec": {"dnsPolicy": "Default", "containers": [container], "volumes": [{"name": "conf", "configMap": {"name": "kube-dns"}}]}}}}]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def dnat_rules(services, endpoints):
    """nftables rules for Services and their Endpoints (API objects, by namespace/name); the first ready address of each."""
    rules = []
    for key, service in services.items():
        address = service["spec"].get("clusterIP")
        for port in service["spec"].get("ports", []):
            protocol = port.get("protocol", "TCP").lower()
            for subset in endpoints.get(key, {}).get("subsets") or []:
                targets = [p["port"] for p in subset.get("ports", []) if p.get("name", "") == port.get("name", "")]
                if address not in (None, "None") and subset.get("addresses") and targets:
                    rules.append(f"ip daddr {address} {protocol} dport {port['port']} dnat to {subset['addresses'][0]['ip']}:{targets[0]}")
    body = "\n".join("    " + rule for rule in rules)
    # The table is emptied and filled in one transaction. Pods' packets are rewritten on their way in, the node's own on
    # their way out; a Service address that no rule knows is refused at once, as kube-proxy does.
    return f"""table ip e2e_services
delete table ip e2e_services
table ip e2e_services {{
  chain services {{
{body}
  }}
  chain in {{
    type nat hook prerouting priority dstnat
    jump services
  }}
  chain out {{
    type nat hook output priority -100
    jump services
  }}
  chain unknown {{
    type filter hook forward priority filter
    ip daddr {SERVICE_RANGE} reject
  }}
}}
"""
