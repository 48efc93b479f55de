# SPDX-License-Identifier: Apache-2.0
"""The internet: a namespace that owns public addresses, with knotd for all names and nginx for all addresses.

knotd serves one zone, the root, from the zone text that the lab was given: so CNAME chains between any
two names arrive whole, as from a recursive resolver. Every owned address is a DNS server on port 53 and a
web server on 80 and 443. Certificates come from a CA of this run (internet.ca).
"""
import contextlib
import os
import re

from .commands import run, wait_until
from .dns import ask
from .namespace import Namespace

# What the internet owns whole. Everything in here is local to it (AnyIP), so any address may have a name.
PREFIXES = ["8.8.8.0/24", "1.1.1.0/24", "93.184.0.0/16", "151.101.0.0/16", "160.79.104.0/24", "203.0.113.0/24",
            "2001:4860::/32", "2606:2800::/32", "2606:4700::/32", "2607:6bc0::/32", "2a04:4e42::/32"]
V4, NODE_V4 = "198.51.100.53", "198.51.100.1"
V6, NODE_V6 = "2001:db8:51::53", "2001:db8:51::1"

ZONE_HEAD = """$ORIGIN .
$TTL 300
. 300 SOA ns.root. lab.root. {serial} 300 300 300 5
. NS ns.root.
ns.root. A {v4}
"""

KNOT_CONF = """
server:
  rundir: {dir}
  listen: [0.0.0.0@53, "::@53"]
  background-workers: 1
  udp-workers: 1
  tcp-workers: 2
database:
  storage: {dir}
control:
  listen: {dir}/knot.sock
log:
- target: stderr
  any: warning
zone:
- domain: "."
  file: {dir}/zone
  zonefile-sync: -1
  journal-content: none
  zonefile-load: whole
"""

NGINX_CONF = """
user root; daemon off; master_process off; pid {dir}/nginx.pid; error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
  access_log off; default_type text/plain;
  client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
  uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  ssl_certificate {dir}/server.pem; ssl_certificate_key {dir}/server.key;
  server {{
    listen 80 default_server backlog=4096; listen [::]:80 default_server backlog=4096;
    listen 443 ssl default_server backlog=4096; listen [::]:443 ssl default_server backlog=4096;
    location / {{ return 200 "$host at $server_addr\\n"; }}
    location /slow {{ root {dir}/www; limit_rate 400k; }}
  }}
{servers}
}}
"""


class Counter:
    """Counts what reaches an interface of a namespace and matches an nftables expression; nothing is changed."""

    def __init__(self, namespace, name, match):
        self.namespace, self.name = namespace, name
        namespace.nft(f"""table inet lab_count {{
            counter {name} {{ }}
            chain {name} {{
                type filter hook prerouting priority -400
                {match} counter name {name}
            }}
        }}""")

    @property
    def packets(self):
        text = self.namespace.run(["nft", "list", "counter", "inet", "lab_count", self.name]).out
        return int(re.search(r"packets (\d+)", text).group(1))


class Internet:
    """
    zone: lines of a zone file without an origin: "www.example.com. 60 A 93.184.216.34".
    web_names: names the certificate is for; default: all owners of A, AAAA and CNAME in the zone.
    servers: more nginx server blocks, for content of a name's own.
    """

    def __init__(self, name, undo, folder, zone="", web_names=None, servers="", web=True):
        self.dir = os.path.join(folder, "internet")
        os.makedirs(os.path.join(self.dir, "www"))
        self.ns = Namespace(name, undo, folder)
        self.zone, self.serial, self.counters = zone, 0, 0
        self.ns.sysctl("net/ipv6/ip_nonlocal_bind", "1")  # knotd answers from the IPv6 address that was asked
        for prefix in PREFIXES:
            self.ns.ip("-6" if ":" in prefix else "-4", "route", "add", "local", prefix, "dev", "lo")
        self._start_dns(undo)
        if web:
            self._start_web(undo, web_names, servers)

    def _write_zone(self):
        self.serial += 1
        with open(os.path.join(self.dir, "zone"), "w", encoding="ascii") as file:
            file.write(ZONE_HEAD.format(serial=self.serial, v4=V4) + self.zone + "\n")

    def _start_dns(self, undo):
        self._write_zone()
        conf = os.path.join(self.dir, "knot.conf")
        with open(conf, "w", encoding="ascii") as file:
            file.write(KNOT_CONF.format(dir=self.dir))
        self.dns = self.ns.daemon("knotd", ["knotd", "-c", conf])
        undo.add(self.dns.stop)

    def _start_web(self, undo, web_names, servers):
        names = names_of(self.zone) if web_names is None else web_names
        self.ca = make_certificates(self.dir, names)
        conf = os.path.join(self.dir, "nginx.conf")
        with open(conf, "w", encoding="ascii") as file:
            file.write(NGINX_CONF.format(dir=self.dir, servers=servers.replace("{dir}", self.dir)))
        with open(os.path.join(self.dir, "www", "slow"), "wb") as file:
            file.truncate(1 << 30)
        self.web = self.ns.daemon("nginx", ["nginx", "-c", conf, "-e", "stderr"])
        undo.add(self.web.stop)

    def wait_ready(self):
        def dns_answers():
            self.dns.require_alive()
            return ask(self.ns, "127.0.0.1", "ns.root", timeout=0.2)

        def web_answers():
            self.web.require_alive()
            return self.ns.connect("127.0.0.1", 443, 0.2) == "ok"
        wait_until(dns_answers, "knotd to answer", 10)
        if hasattr(self, "web"):
            wait_until(web_answers, "nginx to listen", 10)

    def set_zone(self, zone):
        """Replaces all names, and returns when they are served."""
        self.zone = zone
        self._write_zone()
        self.ns.run(["knotc", "-b", "-s", os.path.join(self.dir, "knot.sock"), "zone-reload", "."])

    def count(self, match):
        """A Counter of packets that arrive here, by an nftables match: "ip daddr 8.8.8.8 udp dport 53"."""
        self.counters += 1
        return Counter(self.ns, f"c{self.counters}", match)

    def queries(self):
        """A Counter of DNS packets that arrive."""
        return self.count("meta l4proto { tcp, udp } th dport 53")

    @contextlib.contextmanager
    def without_dns(self):
        """In the block, packets to port 53 vanish: an upstream that does not answer."""
        self.ns.nft("""table inet lab_silence {
            chain in {
                type filter hook prerouting priority -300
                meta l4proto { tcp, udp } th dport 53 drop
            }
        }""")
        try:
            yield
        finally:
            self.ns.nft("delete table inet lab_silence")


def names_of(zone):
    """Owners of addresses and aliases in a zone text, as a certificate names them."""
    owners = re.findall(r"^(\S+?)\.\s+(?:\d+\s+)?(?:A|AAAA|CNAME)\s", zone, re.MULTILINE)
    return sorted(set(owners))


def make_certificates(folder, names):
    """A CA and one server certificate for all names. Returns the path of the CA certificate."""
    ca, key, server, server_key = (os.path.join(folder, f) for f in ("ca.pem", "ca.key", "server.pem", "server.key"))
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    run([*new, "-subj", "/CN=Postern lab CA", "-keyout", key, "-out", ca, "-addext", "keyUsage=critical,keyCertSign"])
    alt = ",".join([f"DNS:{name}" for name in names] + ["IP:8.8.8.8", "DNS:localhost"])
    run([*new, "-subj", "/CN=Postern lab server", "-CA", ca, "-CAkey", key, "-keyout", server_key, "-out", server,
         "-addext", "subjectAltName=" + alt, "-addext", "basicConstraints=critical,CA:FALSE"])
    return ca
