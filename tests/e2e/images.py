# SPDX-License-Identifier: Apache-2.0
"""Container images out of this machine's own files: a program, what it links, and nothing from a registry.

An image is one layer in a docker-style archive, which `ctr images import` takes. The same files give the same
bytes, so an image is recognised by its digest.
"""
import functools
import hashlib
import io
import json
import os
import re
import tarfile

from lab.commands import run

REGISTRY = "postern.test"  # names images; nobody is asked there
PYTHON = os.path.realpath("/usr/bin/python3")
# What an agent does not need of Python's library; it is most of it.
PYTHON_WITHOUT = {"__pycache__", "test", "idlelib", "lib2to3", "tkinter", "turtledemo", "ensurepip", "pydoc_data", "distutils",
                  "sqlite3", "dist-packages"}


@functools.lru_cache(maxsize=None)
def linked(program):
    """The libraries that a program loads, and its loader, by the paths it looks for."""
    out = run(["ldd", program], check=False).out
    return frozenset(re.findall(r"(/\S+) \(0x", out))


class Layer:
    """Files of an image, by path in it."""

    def __init__(self):
        self.entries = {}

    def folder(self, path, mode=0o755):
        self.entries.setdefault(path.strip("/"), ("folder", mode, b""))

    def text(self, path, text, mode=0o644):
        self._add(path, ("file", mode, text.encode()))

    def link(self, path, target):
        self._add(path, ("link", 0o777, target.encode()))

    def copy(self, source, path=None):
        """A file of this machine and, if it is a program or a library, what that links."""
        if not os.path.isfile(source):
            raise FileNotFoundError(f"{source} is needed for an image and is not on this machine: run ./dev deps e2e")
        with open(source, "rb") as file:
            content = file.read()
        self._add(path or source, ("file", 0o755 if os.access(source, os.X_OK) else 0o644, content))
        if content.startswith(b"\x7fELF"):
            for library in linked(os.path.realpath(source)) - {source}:
                if library.strip("/") not in self.entries:
                    self.copy(library)

    def _add(self, path, entry):
        path = path.strip("/")
        folder = os.path.dirname(path)
        while folder:
            self.folder(folder)
            folder = os.path.dirname(folder)
        self.entries[path] = entry

    def tar(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path in sorted(self.entries):
                kind, mode, content = self.entries[path]
                info = tarfile.TarInfo(path)
                info.mode = mode
                if kind == "folder":
                    info.type = tarfile.DIRTYPE
                elif kind == "link":
                    info.type, info.linkname = tarfile.SYMTYPE, content.decode()
                else:
                    info.size = len(content)
                archive.addfile(info, io.BytesIO(content) if kind == "file" else None)
        return out.getvalue()


def write_image(path, name, layer, entrypoint):
    """Writes the archive; returns the image's name with its tag."""
    blob = layer.tar()
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Entrypoint": entrypoint, "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
                         "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(blob).hexdigest()]}}).encode()
    tag = f"{REGISTRY}/{name}:e2e"
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [tag], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as archive:
        for member, content in ((config_name, config), ("layer.tar", blob), ("manifest.json", manifest)):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return tag


def base_layer():
    """Users, names and a shell: busybox, as /bin/sh and some tools."""
    layer = Layer()
    layer.copy("/bin/busybox")
    for tool in ("sh", "sleep", "cat", "ls", "ip", "nslookup", "wget", "nc", "ping", "ps"):
        layer.link("/bin/" + tool, "busybox")
    layer.text("/etc/passwd", "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
    layer.text("/etc/group", "root:x:0:\nnogroup:x:65534:\n")
    layer.text("/etc/nsswitch.conf", "hosts: files dns\n")
    layer.folder("/tmp", 0o1777)
    return layer


def write_pause(folder):
    """What holds a pod's namespaces; the kubelet's own image does as much."""
    layer = Layer()
    layer.copy("/bin/busybox", "/pause")
    layer.link("/bin/sleep", "/pause")
    return write_image(os.path.join(folder, "pause.tar"), "pause", layer, ["/bin/sleep", "2147483647"])


def write_dns(folder):
    """The cluster's name server: unbound; its configuration comes as a ConfigMap."""
    layer = base_layer()
    layer.copy("/usr/sbin/unbound")
    return write_image(os.path.join(folder, "dns.tar"), "dns", layer, ["/usr/sbin/unbound", "-d", "-c", "/etc/unbound/unbound.conf"])


def write_agent(folder, program):
    """The sandbox's image: Python and the reference agent (program), as a user would pack it. glibc resolves names."""
    layer = base_layer()
    layer.copy(PYTHON)
    layer.link("/usr/bin/python3", os.path.basename(PYTHON))
    library = "/usr/lib/" + os.path.basename(PYTHON)
    for place, folders, files in os.walk(library):
        folders[:] = [f for f in folders if f not in PYTHON_WITHOUT and not f.startswith("config-")]
        for file in files:
            layer.copy(os.path.join(place, file))
    layer.copy(program, "/agent.py")
    return write_image(os.path.join(folder, "agent.tar"), "agent", layer, ["/bin/sleep", "2147483647"])
