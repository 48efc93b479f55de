# SPDX-License-Identifier: Apache-2.0
"""The node's part of a cluster: containerd, CNI plugins and the kubelet, at the places a real node has them."""
import json
import os

from lab.commands import wait_until

from .control_plane import DOMAIN, NODE_NAME

SOCKET = "/run/containerd/containerd.sock"
# Not /etc/cni, its usual place: where the machine has no such folder, nothing of the node's own can be mounted there.
CNI_CONF = "/run/cni-conf"
POD_RANGE, POD_RANGE6 = "10.244.0.0/24", "fd00:10:244::/64"
CLUSTER_DNS = "10.96.0.10"

CONTAINERD = """version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{conf_dir}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""

CNI = {"cniVersion": "0.4.0", "name": "e2e", "plugins": [
    {"type": "ptp", "ipMasq": True, "ipam": {"type": "host-local", "ranges": [[{"subnet": POD_RANGE}], [{"subnet": POD_RANGE6}]],
                                             "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}}]}


def kubelet_config(authority, certificate, key):
    return {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}, "x509": {"clientCAFile": authority.ca}},
            "authorization": {"mode": "Webhook"}, "tlsCertFile": certificate, "tlsPrivateKeyFile": key,
            "clusterDNS": [CLUSTER_DNS], "clusterDomain": DOMAIN, "resolvConf": "/etc/resolv.conf",
            "cgroupDriver": "cgroupfs", "cgroupsPerQOS": True, "enforceNodeAllocatable": [],
            "protectKernelDefaults": True,  # the machine's kernel settings are not ours; node_init.py shows the right ones
            "failSwapOn": False, "makeIPTablesUtilChains": False,
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100, "syncFrequency": "5s",  # mounted ConfigMaps follow in seconds; default: a minute
            "allowedUnsafeSysctls": ["net.ipv4.tcp_syn_retries"],  # a blocked connect of the scenario ends in 3 s, not 127 s
            "serializeImagePulls": False, "healthzBindAddress": "127.0.0.1", "nodeStatusReportFrequency": "10s"}


class Worker:
    """node, control: where it runs and whom it serves. pause: (archive, name) of the image that holds a pod."""

    def __init__(self, node, control, folder):
        self.node, self.control, self.folder = node, control, folder
        self.daemons = {}

    def start(self, pause_archive, pause_name):
        node = self.node
        node.write(CNI_CONF + "/10-e2e.conflist", json.dumps(CNI))
        config = os.path.join(self.folder, "containerd.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONTAINERD.format(socket=SOCKET, conf_dir=CNI_CONF, pause=pause_name))
        self.daemons["containerd"] = node.daemon("containerd", ["containerd", "-c", config])
        wait_until(self._containerd_answers, "containerd to answer", 20)
        self.load_image(pause_archive)
        self._start_kubelet()

    def _containerd_answers(self):
        self.daemons["containerd"].require_alive()
        return self.ctr("version", check=False).status == 0

    def ctr(self, *words, **options):
        return self.node.run(["ctr", "--address", SOCKET, "--namespace", "k8s.io", *words], **options)

    def load_image(self, archive):
        """Imports a docker-style or OCI archive; returns what containerd calls the images of it."""
        out = self.ctr("images", "import", archive, timeout=120).out
        return [line.split()[1] for line in out.splitlines() if line.startswith("unpacking")]

    def _start_kubelet(self):
        authority = self.control.authority
        kubeconfig = authority.kubeconfig("kubelet", self.control.server, "system:node:" + NODE_NAME, "system:nodes",
                                          hosts=[self.control.address, NODE_NAME])
        # Where kubeadm puts it, and where Postern looks for clusterDNS. JSON is YAML.
        config = self.node.write("/var/lib/kubelet/config.yaml", json.dumps(
            kubelet_config(authority, authority.path("kubelet.pem"), authority.path("kubelet.key"))))
        self.daemons["kubelet"] = self.node.daemon("kubelet", [
            self.control.program("kubelet"), "--config", config, "--kubeconfig", kubeconfig, "--hostname-override", NODE_NAME,
            "--node-ip", self.control.address, "--container-runtime=remote", "--container-runtime-endpoint=unix://" + SOCKET,
            # No process here may have its score lowered: that takes CAP_SYS_RESOURCE, which a test machine may lack.
            "--oom-score-adj=0"])
