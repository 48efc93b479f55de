#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is shut is not opened, and not made another pod's, by who comes later or claims an address.

Attackers here: a tenant who makes, deletes and makes pods again, and what runs inside a pod and may give its
interface any address.
"""
import sys
import time

from harness import case, equal, main, true, wait_until
from lab import ask
from pods import ALLOWED, ROLE, ZONE, Pod, World, cluster, is_open, is_shut, let_go, prepare, sandbox_of, under


def seen(gate):
    """All that was told until now is known to posternd: pods are told in order."""
    seen.count = getattr(seen, "count", 0) + 1
    before = cluster(gate)["pods"]["in_scope"]
    World.api.put_pod("agents", f"fence-{seen.count}", labels=ROLE)
    wait_until(lambda: cluster(gate)["pods"]["in_scope"] == before + 1, "the fence to be known")
    World.api.remove_pod("agents", f"fence-{seen.count}")
    wait_until(lambda: cluster(gate)["pods"]["in_scope"] == before, "the fence to be gone")


def stays(holds, what, seconds):
    """Asks again and again, for as long as it could still change."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        true(holds(), what)


def held_pod(lab, gate, name):
    World.api.put_pod("agents", name, labels=ROLE)
    wait_until(lambda: cluster(gate)["pods"]["waiting"] == 1, "the pod to wait")
    pod = Pod(lab).plug().number_it()
    wait_until(lambda: sandbox_of(gate, pod), "the interface to be held")
    return pod


def attached_pod(lab, gate, name):
    pod = held_pod(lab, gate, name)
    World.api.put_pod("agents", name, labels=ROLE, ips=[pod.v4], phase="Running")
    under(gate, pod, "agents/agent", name)
    wait_until(lambda: pod.v4 in sandbox_of(gate, pod)["addresses"], "its address to be known")
    return pod


def end(gate, pod, space, name):
    World.api.remove_pod(space, name)
    pod.unplug()
    let_go(gate, pod)


def is_held(gate, pod):
    sandbox = sandbox_of(gate, pod)
    return bool(sandbox and sandbox["held"])


@case("a pod that is deleted while its interface is held opens nothing: it may still run")
def deleted_while_held(lab, gate):
    pod = held_pod(lab, gate, "hasty")
    World.api.remove_pod("agents", "hasty")
    seen(gate)
    true(is_held(gate, pod), "still held")
    is_shut(pod)
    # A pod out of scope that began afterwards is told to have that address now.
    World.api.put_pod("web", "late", ips=[pod.v4], phase="Running", started=time.time() + 5)
    seen(gate)
    true(is_held(gate, pod), "still held")
    is_shut(pod)
    pod.unplug()
    let_go(gate, pod)
    World.api.remove_pod("web", "late")


@case("an address that another interface has too lets nothing go")
def address_twice(lab, gate):
    theirs = Pod(lab).plug().number_it()
    World.api.put_pod("web", "theirs", ips=[theirs.v4], phase="Running")
    pod = held_pod(lab, gate, "one")
    # What runs there would take the other's address as soon as it can, which is after posternd has looked.
    wait_until(lambda: pod.v4 in (sandbox_of(gate, pod) or {"addresses": []})["addresses"], "its address to be known")
    time.sleep(0.25)
    pod.ns.ip("addr", "add", theirs.v4 + "/32", "dev", "eth0")
    stays(lambda: is_held(gate, pod) and theirs.v4 not in sandbox_of(gate, pod)["addresses"], "held, with its own address alone", 2.5)
    is_shut(pod)
    pod.ns.ip("addr", "del", theirs.v4 + "/32", "dev", "eth0")
    is_open(theirs)
    end(gate, pod, "agents", "one")


@case("an address that is nobody's interface's is not taken either, once a container may have chosen it")
def address_of_nobody(lab, gate):
    World.api.put_pod("web", "elsewhere", ips=["10.99.9.9"], phase="Running")
    pod = held_pod(lab, gate, "chooser")
    wait_until(lambda: pod.v4 in (sandbox_of(gate, pod) or {"addresses": []})["addresses"], "its address to be known")
    time.sleep(0.25)
    pod.ns.ip("addr", "add", "10.99.9.9/32", "dev", "eth0")
    stays(lambda: is_held(gate, pod), "held", 2.5)
    is_shut(pod)
    end(gate, pod, "agents", "chooser")
    World.api.remove_pod("web", "elsewhere")


@case("a status address that is told later moves no sandbox: neither answers nor packets go by it")
def claimed_address(lab, gate):
    pod = attached_pod(lab, gate, "claims")
    before = sandbox_of(gate, pod)["addresses"]
    World.api.put_pod("agents", "claims", labels=ROLE, ips=["10.99.9.8"], phase="Running")
    seen(gate)
    equal(sandbox_of(gate, pod)["addresses"], before, "addresses")
    wait_until(lambda: pod.asks() == [ALLOWED], "lookups from its own address")
    equal(pod.ns.connect(ALLOWED, 80), "ok", "what it may reach")
    pod.ns.ip("addr", "add", "10.99.9.8/32", "dev", "eth0")
    equal(ask(pod.ns, "8.8.8.8", "www.allowed.example", timeout=0.3, source="10.99.9.8"), None, "an answer to the claimed address")
    pod.ns.ip("addr", "del", "10.99.9.8/32", "dev", "eth0")
    # The other family of a dual-stack pod is told later, and is its.
    World.api.put_pod("agents", "claims", labels=ROLE, ips=[pod.v4, "fd00:88::2"], phase="Running")
    wait_until(lambda: "fd00:88::2" in sandbox_of(gate, pod)["addresses"], "the second family")
    true(set(before) < set(sandbox_of(gate, pod)["addresses"]), "beside the first")
    end(gate, pod, "agents", "claims")


@case("a pod that is gone: its interface stays shut, when a pod out of scope is told to have its address")
def orphan_and_thief(lab, gate):
    pod = attached_pod(lab, gate, "gone")
    World.api.remove_pod("agents", "gone")
    World.api.put_pod("web", "thief", ips=[pod.v4], phase="Running", started=time.time() - 3600)
    seen(gate)
    equal((sandbox_of(gate, pod) or {}).get("policy"), "agents/agent", "its policy")
    is_shut(pod)
    end(gate, pod, "web", "thief")


@case("a pod that is made again under its name does not become the one whose interface is still there")
def made_again(lab, gate):
    pod = attached_pod(lab, gate, "again")
    pod.write_cni_result(World.cni, "agents", "again")
    World.api.remove_pod("agents", "again")
    # With labels that another policy selects.
    World.api.put_pod("agents", "again", labels={"role": "other"}, uid="uid-second", ips=[pod.v4], phase="Running")
    seen(gate)
    equal(sandbox_of(gate, pod)["policy"], "agents/agent", "its policy")
    equal(pod.asks("other.allowed.example"), [], "what the other policy allows")
    is_shut(pod)
    second = Pod(lab).plug().number_it()
    World.api.put_pod("agents", "again", labels={"role": "other"}, uid="uid-second", ips=[second.v4], phase="Running")
    under(gate, second, "agents/other", "again")
    pod.unplug()
    let_go(gate, pod)
    end(gate, second, "agents", "again")


@case("a link that is no pod's is let go when the pod that it was held for has its own")
def elimination(lab, gate):
    stray = held_pod(lab, gate, "two")
    pod = Pod(lab).plug().number_it()
    World.api.put_pod("agents", "two", labels=ROLE, ips=[pod.v4], phase="Running")
    under(gate, pod, "agents/agent", "two")
    let_go(gate, stray)
    is_open(stray)
    is_shut(pod)


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE, sandboxes=0))
