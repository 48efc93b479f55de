#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What must hold of manifests/ whoever edits it: no container has more than it needs, and what is said in two places agrees.

Reads files only. Exit status 1 with a line for each thing that is wrong.
"""
import glob
import json
import os
import re
import sys

import yaml

from findings import ROOT, check, read, status_of

# The most that each container may ask for. A new capability is a change of this table, seen in review.
CAPABILITIES = {"agent": {"BPF", "NET_ADMIN", "PERFMON"}, "dns": set(), "observer": set(), "setup": {"NET_ADMIN", "NET_BIND_SERVICE", "SYS_ADMIN"},
                "prepare": {"CHOWN"}, "remove": {"NET_ADMIN", "DAC_OVERRIDE"}, "done": set()}
NOT_ROOT = {"dns": 65053, "observer": 65054}
VERBS = {("pods", "list"), ("pods", "watch"), ("namespaces", "list"), ("namespaces", "watch"), ("events", "create"), ("services", "get")}
OURS = "postern.dev"


def objects(folder):
    for path in sorted(glob.glob(os.path.join(ROOT, "manifests", folder, "*.yaml"))):
        for item in yaml.safe_load_all(read(path)):
            if item and "kind" in item and item["kind"] != "Kustomization":
                yield os.path.relpath(path, ROOT), item


def check_container(where, container, pod):
    name = container["name"]
    security = {**pod.get("securityContext", {}), **container.get("securityContext", {})}
    capabilities = security.get("capabilities", {})
    check(not security.get("privileged"), f"{where}: {name} is privileged")
    check(security.get("allowPrivilegeEscalation") is False, f"{where}: {name} may gain privileges")
    check(security.get("readOnlyRootFilesystem") is True, f"{where}: {name} may write in its image")
    check(capabilities.get("drop") == ["ALL"], f"{where}: {name} keeps the runtime's capabilities")
    check(set(capabilities.get("add", [])) == CAPABILITIES.get(name), f"{where}: {name} adds {capabilities.get('add')}")
    check(security.get("runAsUser") == NOT_ROOT.get(name, 0), f"{where}: {name} runs as {security.get('runAsUser')}")
    check(name not in NOT_ROOT or security.get("runAsNonRoot") is True, f"{where}: {name} may run as root")
    check(security.get("seccompProfile"), f"{where}: {name} has no seccomp profile")
    for kind in ("requests", "limits"):
        check(set(container.get("resources", {}).get(kind, {})) == {"cpu", "memory"}, f"{where}: {name} has no {kind}")
    profile = security.get("seccompProfile", {}).get("localhostProfile")
    check(profile is None or os.path.exists(os.path.join(ROOT, "manifests", "seccomp", os.path.basename(profile))),
          f"{where}: {name} names {profile}, which is not in manifests/seccomp")
    check(container.get("terminationMessagePolicy") == "FallbackToLogsOnError", f"{where}: `kubectl describe` does not say why {name} ended")
    check(container.get("command", [""])[0].startswith("/usr/bin/postern"), f"{where}: {name} runs no program of ours")


def check_pods(folder):
    for where, item in objects(folder):
        if item["kind"] != "DaemonSet":
            continue
        pod = item["spec"]["template"]["spec"]
        check(not pod.get("hostPID") and not pod.get("hostIPC") and not pod.get("shareProcessNamespace"), f"{where}: shares more than the network")
        check(pod.get("automountServiceAccountToken") is False, f"{where}: every container gets a token")
        volumes = {volume["name"] for volume in pod["volumes"]}
        used = set()
        for container in pod.get("initContainers", []) + pod["containers"]:
            check_container(where, container, pod)
            used |= {mount["name"] for mount in container.get("volumeMounts", [])}
        check(used == volumes, f"{where}: volumes that nobody mounts, or mounts of none: {used ^ volumes}")


def rules_of(folder):
    """Who is asked for what: (group, resource, verb)."""
    asked = set()
    for where, item in objects(folder):
        check(item["kind"] != "Secret", f"{where}: has a Secret")
        for rule in item.get("rules") or []:
            check("*" not in rule["resources"] + rule["verbs"] + rule["apiGroups"], f"{where}: a wildcard")
            asked |= {(group, resource, verb) for group in rule["apiGroups"] for resource in rule["resources"] for verb in rule["verbs"]}
    return asked


def policy_kinds():
    """Group and plural of the kinds that policies/policy_reader.cpp reads, and of templates."""
    source = read("policies/policy_reader.cpp")
    found = re.findall(r'KindReader\{(kApiVersion|"[^"]+"), "(\w+)"', source)
    check(len(found) > 8, "policies/policy_reader.cpp: this test reads it no more")
    kinds = [(OURS if version == "kApiVersion" else version.strip('"').split("/")[0], kind) for version, kind in found]
    return {(group, re.sub("y$", "ie", kind.lower()) + "s") for group, kind in [*kinds, (OURS, "AllowlistTemplate")]}


SPOKEN_OF = [("", "nodes"), ("", "services"), ("discovery.k8s.io", "endpointslices")]  # beside pods and namespaces


def check_rules():
    """The base reads Postern's own kinds and writes their status; other-kinds reads the others, and says in events what is wrong there."""
    ours = {(group, plural) for group, plural in policy_kinds() if group == OURS}
    others = policy_kinds() - ours
    check(len(ours) == 3, f"policies/policy_reader.cpp: {sorted(ours)}")

    def read_of(kinds):
        return {(group, plural, verb) for group, plural in kinds for verb in ("list", "watch")}

    for folder, wanted in (("base", {("", *pair) for pair in VERBS} | read_of(ours) | {(OURS, f"{plural}/status", "patch") for _, plural in ours}),
                           ("other-kinds", {("", "events", "create")} | read_of(others) | read_of(SPOKEN_OF))):
        check(rules_of(folder) == wanted, f"manifests/{folder}/rbac.yaml: other verbs than are used: {sorted(rules_of(folder) ^ wanted)}")


def check_users():
    """scripts/image.sh names the users that the manifests run as."""
    named = dict(re.findall(r"'(postern-\w+):x:(\d+):\2::/:/'", read("scripts/image.sh")))
    check(named == {f"postern-{name}": str(uid) for name, uid in NOT_ROOT.items()}, f"scripts/image.sh names {named}")


def allowed(profile):
    rules = json.loads(read(f"manifests/seccomp/{profile}.json"))["syscalls"]
    return {name for rule in rules if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}, rules


def check_profiles():
    """What postern-dns allows itself (dnsproxy/confine.cpp), its container must allow; namespaces stay out of reach."""
    source = read("dnsproxy/confine.cpp")
    itself = set(re.findall(r"SCMP_SYS\((\w+)\)", source)) - {"clone3"}
    check(len(itself) > 40, "dnsproxy/confine.cpp: this test reads it no more")
    check(not itself - allowed("dns")[0], f"manifests/seccomp/dns.json lacks {sorted(itself - allowed('dns')[0])}, which postern-dns uses")
    for profile in ("agent", "dns", "observer"):
        names, rules = allowed(profile)
        forbidden = names & {"mount", "unshare", "setns", "ptrace", "init_module", "finit_module", "kexec_load", "keyctl", "perf_event_open",
                             "process_vm_readv", "process_vm_writev", "userfaultfd", "io_uring_setup", "pivot_root", "chroot", "reboot"}
        check(not forbidden, f"manifests/seccomp/{profile}.json allows {sorted(forbidden)}")
        check(all(rule.get("args") for rule in rules if rule["names"] == ["clone"]), f"manifests/seccomp/{profile}.json: clone without a look at its flags")
        check(profile == "agent" or all(rule.get("args") for rule in rules if "bpf" in rule["names"]),
              f"manifests/seccomp/{profile}.json: bpf without a look at its command")


def check_config():
    """The folder of the pins lies in the mount of the node's BPF file system, the allowlists in the image."""
    config = yaml.safe_load(read("manifests/base/postern.yaml"))
    check(config["pin_dir"].startswith("/bpf/"), "manifests/base/postern.yaml: pin_dir is not in /bpf")
    check(f"$work/programs{config['templates']}" in read("scripts/image.sh"), "scripts/image.sh puts the allowlists elsewhere")
    for where, item in objects("uninstall"):
        check(f"--pin-dir={config['pin_dir']}" in item["spec"]["template"]["spec"]["initContainers"][0]["command"], f"{where}: removes other pins")


def main():
    for folder in ("base", "uninstall"):
        check_pods(folder)
    check_rules()
    check_users()
    check_profiles()
    check_config()
    return status_of("manifests")


if __name__ == "__main__":
    sys.exit(main())
