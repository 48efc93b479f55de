# SPDX-License-Identifier: Apache-2.0
"""The first process of a node: lays out the node's own file system, then reaps until it is killed.

Started by node.py in new mount, process and cgroup namespaces, inside the node's network namespace. What a
kubelet, a container runtime and Postern write to the usual places (/run, /var/lib, /sys/fs/bpf, ...) lands in
this mount namespace and is gone with it; the machine never sees it. When this process ends, the kernel kills
everything on the node.

Usage: node_init.py FOLDER CGROUPS, where CGROUPS is JSON of node.py's list of hierarchies.
"""
import json
import os
import signal
import subprocess
import sys

# What a kubelet wants of the machine's kernel, and would otherwise set for the whole machine. It reads these
# files, finds them right and writes nothing.
KERNEL_SETTINGS = {"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
                   "kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000"}
OWN_FOLDERS = ["/var/lib", "/var/log"]  # on disk: image layers are big
OWN_MEMORY = ["/run", "/opt", "/mnt"]


def mount(*words):
    subprocess.run(["mount", *words], check=True)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def own_sys(hierarchies):
    """/sys of this network namespace, with the cgroups below the node's own and a bpffs of its own."""
    # Ours in place of the machine's, not on top of them: who reads the list of mounts would find both.
    subprocess.run(["umount", "--recursive", "--lazy", "/sys"], check=True)
    mount("-t", "sysfs", "sysfs", "/sys")
    for hierarchy in hierarchies:
        point = hierarchy["mount"]
        if not os.path.isdir(point):
            # cgroup v1 hierarchies are folders of a tmpfs.
            if not os.path.ismount(os.path.dirname(point)):
                mount("-t", "tmpfs", "tmpfs", os.path.dirname(point))
            os.mkdir(point)
        mount("-t", hierarchy["type"], "-o", hierarchy["options"] or "rw", "cgroup", point)
        os.makedirs(os.path.join(point, "system"), exist_ok=True)
        write(os.path.join(point, "system", "cgroup.procs"), str(os.getpid()))
    mount("-t", "bpf", "bpf", "/sys/fs/bpf")


def own_files(folder):
    for path in OWN_FOLDERS:
        mine = os.path.join(folder, path.strip("/").replace("/", "-"))
        os.makedirs(mine)
        mount("--bind", mine, path)
    for path in OWN_MEMORY:
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", path)
    for path in ("/run/netns", "/run/lock"):
        os.makedirs(path)
    mount("--bind", os.path.join(folder, "resolv.conf"), os.path.realpath("/etc/resolv.conf"))
    for key, value in KERNEL_SETTINGS.items():
        mount("--bind", write(os.path.join(folder, "sysctl", key), value + "\n"), "/proc/sys/" + key)


def main():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    folder, hierarchies = sys.argv[1], json.loads(sys.argv[2])
    machine_pid = os.readlink("/proc/self")  # /proc is still the machine's
    mount("-t", "proc", "proc", "/proc")
    own_sys(hierarchies)
    own_files(folder)
    # A kubelet's volumes must reach into containers, as on a node whose / is shared.
    mount("--make-rshared", "/")
    write(os.path.join(folder, "pid.new"), machine_pid)
    os.rename(os.path.join(folder, "pid.new"), os.path.join(folder, "pid"))
    while True:
        signal.sigwait({signal.SIGCHLD})
        reap()


def reap():
    """Children of ours and orphans, which the kernel gives to the first process."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        pass


if __name__ == "__main__":
    main()
