#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Policies as objects of the API server: in force, judged one by one, told to their authors; and the API server away."""
import os
import sys

from harness import case, equal, main, true, wait_until
from pods import ALLOWED, ROLE, ZONE, Pod, World, cluster, come, conditions, is_open, is_shut, let_go, prepare, sandbox_of, under

OTHER = "93.184.216.35"
SPEC = {"selector": {"matchLabels": ROLE}, "allow": [{"names": ["www.allowed.example"], "ports": [80]}]}
WRONG = {**SPEC, "allow": [{"names": ["www.allowed.example", "*.example"]}]}
RESOURCES = [("EgressPolicy", "egresspolicies"), ("AllowlistTemplate", "allowlisttemplates"),
         ("CiliumNetworkPolicy", "ciliumnetworkpolicies", "cilium.io/v2")]
READ = ["EgressPolicy", "ClusterEgressPolicy", "AllowlistTemplate", "CiliumNetworkPolicy"]


def with_objects(lab):
    """No policy file at all; ClusterEgressPolicy is a kind that this API server does not have."""
    return prepare(lab, {}, resources=RESOURCES, kinds=READ)


def accepted(kind="EgressPolicy", name="agent", space="agents", status="True", generation=None):
    def is_told():
        condition = World.api.condition_of(kind, name, space)
        return (condition and condition["status"] == status and generation in (None, condition["observedGeneration"])
                and condition)
    return wait_until(is_told, f"{kind} {name} to be told {status}", 5)


@case("the kinds that the API server has are read, and status names the one it has not")
def absent_kind(_lab, gate):
    seen = cluster(gate)
    equal(seen["kinds"], READ, "kinds")
    equal(seen["kinds_absent"], ["ClusterEgressPolicy"], "kinds that are absent")
    equal(seen["trouble"], "", "trouble")
    true("the API server has no ClusterEgressPolicy" in gate.cli("status", check=False).out, "status as text")


@case("an object is in force for its pods, with its origin, and its author is told")
def in_force(lab, gate):
    World.api.put_policy("EgressPolicy", "agent", SPEC, "agents")
    pod = come(lab, gate, "one", ROLE, "agents/agent")
    wait_until(lambda: pod.asks() == [ALLOWED], "the allowed name")
    equal(pod.ns.connect(ALLOWED, 80), "ok", "the allowed name's address")
    is_shut(pod)
    condition = accepted()
    equal((condition["reason"], condition["message"], condition["observedGeneration"]), ("Accepted", "in force", 1), "condition")
    explained = gate.cli("explain", pod.host_if, "www.allowed.example").out
    true("EgressPolicy agents/agent spec.allow[0].names[0]" in explained, explained)


@case("an edit of the object is enforced, and its status follows its generation")
def edited(_lab, gate):
    pod = World.pods["one"]
    World.api.put_policy("EgressPolicy", "agent", {**SPEC, "allow": [{"names": ["other.allowed.example"], "ports": [80]}]}, "agents")
    wait_until(lambda: pod.asks("other.allowed.example") == [OTHER], "what the edit opens")
    wait_until(lambda: pod.ns.connect(ALLOWED, 80, timeout=0.3) == "ETIMEDOUT", "what the edit closes")
    accepted(generation=2)
    World.api.put_policy("EgressPolicy", "agent", SPEC, "agents")
    wait_until(lambda: pod.asks() == [ALLOWED], "the first policy again")
    accepted(generation=3)


@case("a wrong edit is refused with the field, and what was right stays; others' objects are changed all the same")
def refused(_lab, gate):
    pod = World.pods["one"]
    World.api.put_policy("EgressPolicy", "agent", WRONG, "agents")
    condition = accepted(status="False", generation=4)
    true("spec.allow[0].names[1]" in condition["message"] and "as it was before" in condition["message"], condition["message"])
    told = wait_until(lambda: conditions(gate, "PolicyObjectsRefused"), "the condition")[0]["message"]
    true("EgressPolicy agents/agent: spec.allow[0].names[1]" in told, told)
    wait_until(lambda: pod.asks() == [ALLOWED], "what was allowed")
    is_shut(pod)
    generation = gate.status()["generation"]
    World.api.put_policy("EgressPolicy", "another", {"selector": {"matchLabels": {"role": "none"}}}, "agents")
    wait_until(lambda: gate.status()["generation"] > generation, "the other object to be in force")
    accepted(name="another")
    World.api.put_policy("EgressPolicy", "agent", SPEC, "agents")
    accepted(generation=5)
    wait_until(lambda: not conditions(gate, "PolicyObjectsRefused"), "the condition's end")


@case("one write tells it: the status that we wrote ourselves changes nothing")
def no_storm(_lab, gate):
    patches, generation = World.api.patches, gate.status()["generation"]
    gate.reload()
    equal(gate.status()["generation"], generation, "generation")
    equal(World.api.patches, patches, "statuses written")


@case("an object that was never right closes the pods that nothing else closes, and opens none")
def never_right(lab, gate):
    World.api.put_policy("EgressPolicy", "lost", {"selector": {"matchLabels": {"role": "lost"}},
                                                  "allow": [{"names": ["www.allowed.example"], "ports": ["eighty"]}]}, "agents")
    accepted(name="lost", status="False")
    pod = come(lab, gate, "two", {"role": "lost"}, "agents/lost")
    is_shut(pod)
    wait_until(lambda: pod.asks() == [], "its lookups to be denied")
    World.api.remove_policy("EgressPolicy", "lost", "agents")
    let_go(gate, pod)
    is_open(pod)


@case("an object of another's kind is enforced as it is; refused, an event says why")
def foreign(_lab, gate):
    pod = World.pods["two"]
    spec = {"endpointSelector": {"matchLabels": {"role": "lost"}},
            "egress": [{"toFQDNs": [{"matchName": "www.allowed.example"}], "toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}]}]}]}
    World.api.put_policy("CiliumNetworkPolicy", "theirs", spec, "agents")
    under(gate, pod, "CiliumNetworkPolicy:agents/theirs", "two")
    wait_until(lambda: pod.asks() == [ALLOWED], "the allowed name")
    is_shut(pod)
    World.api.put_policy("CiliumNetworkPolicy", "theirs", {**spec, "egress": [{**spec["egress"][0], "icmps": [{}]}]}, "agents")

    def told():
        return next((event for event in World.api.events if event["reason"] == "PolicyRefused"), None)
    event = wait_until(told, "the event", 5)
    equal((event["involvedObject"]["kind"], event["involvedObject"]["name"]), ("CiliumNetworkPolicy", "theirs"), "the event's object")
    true("icmps" in event["message"], event["message"])
    wait_until(lambda: pod.asks() == [ALLOWED], "what it was before to stay")
    equal(World.api.condition_of("CiliumNetworkPolicy", "theirs", "agents"), None, "a status that is not ours")
    World.api.remove_policy("CiliumNetworkPolicy", "theirs", "agents")
    let_go(gate, pod)


@case("policies that do not go together cut off the pods that they select together, and keep nobody's from being changed")
def clash(lab, gate):
    for number in range(5):  # one name, more rules than one address can have
        World.api.put_policy("EgressPolicy", f"clash-{number}", {
            "selector": {"matchLabels": {"role": "clash"}}, "allow": [{"names": ["www.allowed.example"], "ports": [80 + number]}]}, "agents")
    accepted(name="clash-4")
    policies = "+".join(f"agents/clash-{number}" for number in range(5))
    pod = come(lab, gate, "three", {"role": "clash"}, policies)
    is_shut(pod)
    wait_until(lambda: pod.asks() == [], "its lookups to be denied")
    generation = gate.status()["generation"]
    World.api.put_policy("EgressPolicy", "another", {"selector": {"matchLabels": {"role": "none"}},
                                                     "allow": [{"names": ["new.allowed.example"]}]}, "agents")
    wait_until(lambda: gate.status()["generation"] > generation, "the other object to be in force")
    World.api.remove_policy("EgressPolicy", "clash-4", "agents")
    wait_until(lambda: pod.asks() == [ALLOWED], "the four that go together")
    for number in range(4):
        World.api.remove_policy("EgressPolicy", f"clash-{number}", "agents")
    let_go(gate, pod)
    World.api.remove_pod("agents", "three")
    World.pods.pop("three").unplug()


@case("a template object is used by a policy object, and its edit reaches the policy")
def template(_lab, gate):
    pod = World.pods["one"]

    def with_name(name):
        return {"version": "2026-11-28", "purpose": "a test", "groups": [
            {"name": "all", "purpose": "a test", "source": "https://allowed.example/doc", "checked": "2026-11-28", "ports": [80],
             "names": [name]}]}
    World.api.put_policy("AllowlistTemplate", "lists", with_name("www.allowed.example"))
    World.api.put_policy("EgressPolicy", "agent", {**SPEC, "allow": [{"templates": ["lists"]}]}, "agents")
    accepted("AllowlistTemplate", "lists", None)
    accepted(generation=6)
    World.api.put_policy("AllowlistTemplate", "lists", with_name("other.allowed.example"))
    wait_until(lambda: pod.asks("other.allowed.example") == [OTHER], "what the template opens now")
    World.api.put_policy("EgressPolicy", "agent", SPEC, "agents")
    accepted(generation=7)
    wait_until(lambda: pod.asks() == [ALLOWED], "the first policy again")


@case("posternd starts while the API server is away: the objects on record are in force; a new pod waits for what is told")
def away_at_start(lab, gate):
    pod = World.pods["one"]
    World.api.stop()
    gate.daemons["posternd"].stop()
    gate.daemons["postern-dns"].stop()
    gate.start_dns()
    gate.setup()
    gate.start_posternd()
    wait_until(lambda: pod.asks() == [ALLOWED], "lookups, by the record alone")
    is_shut(pod)
    equal(cluster(gate)["policies_known"], False, "the API server has told policies")
    # Meanwhile the policy goes: nobody may open the pod before all is told, and then it is opened.
    World.api.remove_policy("EgressPolicy", "agent", "agents")
    World.api.hold = ("/apis/postern.dev/v1alpha1/egresspolicies",)
    World.api.put_pod("agents", "new", labels=ROLE)
    World.api.start()
    wait_until(lambda: cluster(gate)["synced"], "pods to be known", 15)
    new = World.pods["new"] = Pod(lab).plug().number_it()
    World.api.put_pod("agents", "new", labels=ROLE, ips=[new.v4], phase="Running")
    is_shut(pod)
    World.api.hold = ()
    wait_until(lambda: cluster(gate)["policies_known"], "policies to be known", 15)
    let_go(gate, pod)
    is_open(new)
    equal(sandbox_of(gate, new), None, "the new pod's sandbox")


@case("without the right to read policies nothing new is opened, and status says which right is missing")
def forbidden(_lab, gate):
    gate.daemons["posternd"].stop()
    os.unlink(os.path.join(os.path.dirname(gate.control), "policy-objects.json"))
    World.api.forbid = ("/apis/postern.dev",)
    gate._start("posternd", "--config", gate.config_path)
    gate._await_socket("posternd", gate.control)
    told = wait_until(lambda: conditions(gate, "PermissionMissing"), "the condition", 10)[0]["message"]
    true("forbidden" in told, told)
    reloaded = gate.cli("reload", check=False)
    true(reloaded.status != 0 and "has not told its policies yet" in reloaded.err, reloaded.err)
    World.api.forbid = ()
    wait_until(lambda: cluster(gate)["policies_known"], "policies to be known", 40)


if __name__ == "__main__":
    sys.exit(main(with_objects, zone=ZONE, sandboxes=0))
