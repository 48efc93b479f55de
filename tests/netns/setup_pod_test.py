#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What only a pod uses of postern-setup: `prepare`, `--stay` and `remove`, with daemons that never were root.

In private namespaces, as setup_test.py, whose helpers it takes. Needs root; exit status 77 without it, which is
a failure where CI is set.
"""
import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import setup_test as setup  # noqa: E402
from setup_test import LINK, check, link_exists, output, wait_for  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DNS_USER, OBSERVER_USER, STRANGER = 65053, 65054, 65055
DNS_SOCKET = "/run/postern/dns/dns.sock"
PROFILES = "/run/kubelet/seccomp/postern"
PREPARE = ["prepare", "--dns-user", str(DNS_USER), "--observer-user", str(OBSERVER_USER), "--profiles-from",
           os.path.join(ROOT, "manifests", "seccomp"), "--profiles-to", PROFILES]


def start_as(programs, user, program, *arguments):
    log = tempfile.TemporaryFile("w+")
    process = subprocess.Popen([f"{programs.folder}/{program}", *arguments], stderr=log, stdout=log, user=user, group=user, extra_groups=[])
    process.log = log
    programs.running.append(process)
    return process


def start_dns(programs):
    dns = start_as(programs, DNS_USER, "postern-dns", "--socket", DNS_SOCKET, "--observer-user", str(OBSERVER_USER))
    check(wait_for(lambda: probe(programs, DNS_USER, "live")[0] == 0), "postern-dns listens in its own folder")
    return dns


def probe(programs, user, what):
    done = subprocess.run([f"{programs.folder}/postern-dns", "--socket", DNS_SOCKET, "--check", what], capture_output=True, text=True,
                          user=user, group=user, extra_groups=[], timeout=10)
    return done.returncode, done.stdout + done.stderr


def log_of(process):
    process.log.flush()
    with open(f"/proc/self/fd/{process.log.fileno()}", encoding="utf-8") as log:
        return log.read()


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def test_prepare(programs):
    status, text = programs.setup(*PREPARE)
    check(status == 1 and "BPF file system" in text and "mount -t bpf bpf /sys/fs/bpf" in text, f"a node without bpffs: {text}")
    check(not os.path.exists("/run/postern"), "and nothing is made there")
    output("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")
    output("mount", "-t", "tmpfs", "none", "/sys/kernel/btf")
    status, text = programs.setup(*PREPARE)
    output("umount", "/sys/kernel/btf")
    check(status == 1 and "/sys/kernel/btf/vmlinux cannot be read" in text and "CONFIG_DEBUG_INFO_BTF=y" in text, f"a node without BTF: {text}")
    with tempfile.TemporaryDirectory() as empty:
        status, text = programs.setup(*PREPARE[:-4], "--profiles-from", empty, "--profiles-to", PROFILES)
        check(status == 1 and "seccomp profiles" in text and "./dev image" in text, f"an image without profiles: {text}")
    status, text = programs.setup("prepare", "--dns-user", "no-such-user", "--observer-user", "65054")
    check(status == 1 and "no-such-user" in text, f"an unknown user: {text}")
    for run in ("first", "second"):
        status, text = programs.setup(*PREPARE)
        check(status == 0 and "ready" in text, f"the {run} time: {status} {text}")
    for name, user in (("dns", DNS_USER), ("observer", OBSERVER_USER)):
        folder = os.stat(f"/run/postern/{name}")
        check((folder.st_uid, folder.st_gid, folder.st_mode & 0o777) == (user, user, 0o755), f"/run/postern/{name} is its user's")
        check(os.readlink(f"/run/postern/{name}.sock") == f"{name}/{name}.sock", f"{name}.sock is where everybody looks")
    check(sorted(os.listdir(PROFILES)) == ["agent.json", "dns.json", "observer.json"], "the profiles are installed")
    # Whoever owned the folder may have put a link in its place: it is not followed.
    shutil.rmtree("/run/postern/observer")
    os.symlink("/run/fake", "/run/postern/observer")
    status, text = programs.setup(*PREPARE)
    check(status == 1 and os.stat("/run/fake").st_uid == 0, f"a link in place of a folder: {status} {text}")
    os.unlink("/run/postern/observer")
    check(programs.setup(*PREPARE)[0] == 0, "and again once it is gone")


def test_stay(programs):
    staying = programs.start("postern-setup", "--stay", "--wait", "20", "--workers", "2")
    dns = start_dns(programs)
    check(wait_for(lambda: "has sockets for 2 worker" in log_of(staying)), "it waits for postern-dns and hands the sockets over")
    test_probe(programs)
    status = status_of(staying.pid)
    check(all(set(status[key]) == {"0"} for key in ("CapEff", "CapPrm", "CapInh")) and status["NoNewPrivs"] == "1",
          f"it gave up every capability: {status['CapPrm']}")

    # postern-dns dies, and there is no posternd to keep its sockets.
    ifindex = socket.if_nametoindex(LINK)
    programs.stop(dns, "kill")
    dns = start_dns(programs)
    check(wait_for(lambda: probe(programs, DNS_USER, "ready")[0] == 0, 10), "the next postern-dns has sockets again")
    check(socket.if_nametoindex(LINK) == ifindex, "they are the same")

    # It dies itself and comes back: nothing to make, nothing to hold.
    programs.stop(staying, "kill")
    staying = programs.start("postern-setup", "--stay", "--workers", "2")
    check(wait_for(lambda: "already" in log_of(staying)), "started again it finds everything there")
    programs.stop(dns, "kill")
    status, text = programs.finish(staying)
    check(status == 1 and "is gone" in text, f"with the last socket gone it ends, to be started again: {status} {text}")
    staying = programs.start("postern-setup", "--stay", "--wait", "20", "--workers", "2")
    dns = start_dns(programs)
    check(wait_for(lambda: probe(programs, DNS_USER, "ready")[0] == 0, 10), "and then it makes a new one")
    check(link_exists(), "the link is there")

    output("ip", "link", "del", LINK)
    status, text = programs.finish(staying)
    check(status == 1 and "is gone" in text, f"somebody removed the link: {status} {text}")
    programs.stop(dns)

    staying = programs.start("postern-setup", "--stay", "--wait", "20", "--workers", "2", "--sysctls", "/proc/sys/net")
    dns = start_dns(programs)
    check(wait_for(lambda: probe(programs, DNS_USER, "ready")[0] == 0, 10), "sysctls in another place")
    status, _ = programs.stop(staying)
    check(status == 0, "SIGTERM ends it")
    check(probe(programs, DNS_USER, "ready")[0] == 0, "postern-dns keeps what it has")
    return dns


def test_probe(programs):
    for user in (DNS_USER, OBSERVER_USER, 0):
        status, text = probe(programs, user, "ready")
        check(status == 0 and text == "", f"user {user} may ask: {status} {text}")
    status, text = probe(programs, STRANGER, "live")
    check(status == 1 and text.count("\n") == 1, f"a stranger is not answered: {status} {text}")


def programs_on_interfaces():
    """{(interface, program)} of this network namespace, as the kernel tells."""
    return {(entry["devname"], entry["name"]) for entry in json.loads(output("bpftool", "-j", "net", "show"))[0]["tc"]}


def test_remove(programs, dns):
    """With a gate on an interface: it enforces without a daemon, and is gone after `remove`."""
    output("ip", "link", "add", "sb1", "type", "veth", "peer", "name", "in1")
    os.makedirs("/run/etc/policies")
    with open("/run/etc/policies/one.yaml", "w", encoding="ascii") as file:
        file.write("apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: one}\nspec: {allow: [{names: [a.example]}]}\n")
    with open("/run/etc/postern.yaml", "w", encoding="ascii") as file:
        json.dump({"policies": "/run/etc/policies", "templates": "/run/etc/none", "dns": {"upstreams": ["192.0.2.1"]}}, file)
    agent = programs.start("posternd", "--config", "/run/etc/postern.yaml", "--observer-user", str(OBSERVER_USER))

    def postern(*words):
        done = subprocess.run([f"{programs.folder}/postern", *words], capture_output=True, text=True, timeout=20)
        return done.returncode, done.stdout + done.stderr
    check(wait_for(lambda: postern("status", "--check", "ready")[0] == 0, 20), f"posternd is ready: {log_of(agent)}")
    check(postern("status", "--check", "ready") == (0, ""), "a probe says nothing when all is well")
    status, text = postern("sandbox", "attach", "--interface", "sb1", "--policy", "one", "--address", "10.9.0.2", "--mac", "02:00:00:00:00:09")
    check(status == 0, f"attach: {text}")
    gate = {("sb1", "from_sandbox"), ("sb1", "to_sandbox"), (LINK, "from_steering")}
    check(programs_on_interfaces() == gate, f"the gate is on: {programs_on_interfaces()}")

    status, text = programs.setup("remove", "--profiles", PROFILES)
    check(status == 1 and "posternd still runs" in text, f"while posternd runs: {text}")
    programs.stop(agent)
    status, text = postern("status", "--check", "live")
    check(status == 1 and text.count("\n") == 1, f"a probe of a posternd that is away: {text}")
    status, text = programs.setup("remove", "--profiles", PROFILES)
    check(status == 1 and "postern-dns still runs" in text, f"while postern-dns runs: {text}")
    programs.stop(dns)
    check(programs_on_interfaces() >= {("sb1", "from_sandbox"), ("sb1", "to_sandbox")}, "without a daemon the gate is still on the sandbox")

    status, text = programs.setup("remove", "--profiles", PROFILES)
    check(status == 0 and "the gate is off" in text, f"remove: {status} {text}")
    check(not programs_on_interfaces(), f"no program is left: {programs_on_interfaces()}")
    check(not os.path.exists("/sys/fs/bpf/postern"), "no pin is left")
    check(not os.path.exists("/run/postern") and not os.path.exists(PROFILES) and not link_exists(), "no file and no link is left")
    status, text = programs.setup("remove", "--profiles", PROFILES)
    check(status == 0, f"again: {status} {text}")
    output("ip", "link", "del", "sb1")

    # As the uninstalling pod has it: the folder is a volume, and what is around it is read-only.
    os.makedirs("/run/root")
    output("mount", "-t", "tmpfs", "none", "/run/root")
    os.makedirs("/run/root/postern")
    output("mount", "-t", "tmpfs", "none", "/run/root/postern")
    open("/run/root/postern/left", "wb").close()
    output("mount", "-o", "remount,ro", "/run/root")
    status, text = programs.setup("remove", "--profiles", PROFILES, "--run-dir", "/run/root/postern")
    check(status == 0 and not os.listdir("/run/root/postern"), f"a volume under a read-only root: {status} {text}")


def inside(arguments):
    output("mount", "-t", "tmpfs", "none", "/run")
    with contextlib.suppress(subprocess.CalledProcessError):
        output("umount", "/sys/fs/bpf")
    os.makedirs("/run/fake")
    os.makedirs("/run/kubelet/seccomp")
    programs = setup.Programs(arguments.bin)
    try:
        test_prepare(programs)
        dns = test_stay(programs)
        test_remove(programs, dns)
    finally:
        programs.stop_all()
    print(f"postern-setup in a pod: {setup.checks} checks, {len(setup.failures)} failed")
    return 1 if setup.failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.environ.get("POSTERN_BIN", "build/dev/bin"), help="folder of the programs")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root for network namespaces")
        return 1 if os.environ.get("CI") else 77
    if not arguments.inside:
        return setup.run_inside(os.path.abspath(__file__), arguments.bin)
    return inside(arguments)


if __name__ == "__main__":
    sys.exit(main())
