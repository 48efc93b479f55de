#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pods are found and put under their policies: by address, by the CNI's word, by suspicion; and let go."""
import json
import sys
import time

from harness import case, equal, main, true, wait_until
from lab import ask
from lab.internet import V4 as UPSTREAM
from pods import (ALLOWED, POLICIES, ROLE, SCOPED, ZONE, Pod, World, cluster, conditions, is_open, is_shut, let_go, prepare, sandbox_of,
                  under)


@case("a scoped pod's new interface is shut at once, has DNS when it has an address, and becomes the pod's when that is told")
def held_then_taken(lab, gate):
    World.api.put_pod("agents", "one", labels=ROLE)
    wait_until(lambda: cluster(gate)["pods"]["waiting"] == 1, "the pod to wait")
    pod = World.pods["one"] = Pod(lab).plug()
    wait_until(lambda: sandbox_of(gate, pod), "the interface to be held")
    true(sandbox_of(gate, pod)["held"], "held")
    pod.number_it()
    is_shut(pod)
    wait_until(lambda: pod.asks() == [], "lookups to be answered, with denials")
    World.api.put_pod("agents", "one", labels=ROLE, ips=[pod.v4], phase="Running")
    sandbox = under(gate, pod, "agents/agent", "one")
    equal(sandbox["namespace"], "agents", "namespace")
    equal(sandbox["search"][:3], ["agents.svc.cluster.local", "svc.cluster.local", "cluster.local"], "search")
    wait_until(lambda: pod.asks() == [ALLOWED], "the allowed name")
    equal(pod.ns.connect(ALLOWED, 80), "ok", "the allowed name's address")
    is_shut(pod)
    window = cluster(gate)["discovery_window"]
    equal(window["count"], 1, "interfaces measured")
    equal(window["held"], 1, "of these held")
    return f"open for {window['last_us'] / 1000:.2f} ms"


@case("a pod out of scope is never touched")
def out_of_scope(lab, gate):
    World.api.put_pod("web", "two")
    time.sleep(0.1)
    pod = World.pods["two"] = Pod(lab).plug().number_it()
    is_open(pod)
    World.api.put_pod("web", "two", ips=[pod.v4], phase="Running")
    time.sleep(0.2)
    equal(sandbox_of(gate, pod), None, "sandbox")
    is_open(pod)


@case("both wait: nothing is shut on suspicion, and the CNI's word decides before the API server's")
def cni_decides(lab, gate):
    World.api.put_pod("agents", "three", labels=ROLE)
    World.api.put_pod("web", "four")
    wait_until(lambda: cluster(gate)["pods"]["waiting"] == 1, "the pod to wait")
    theirs = World.pods["four"] = Pod(lab).plug().number_it()
    ours = World.pods["three"] = Pod(lab).plug().number_it()
    is_open(theirs)
    equal(sandbox_of(gate, ours), None, "sandbox before the CNI is done")
    theirs.write_cni_result(World.cni, "web", "four")
    ours.write_cni_result(World.cni, "agents", "three")
    under(gate, ours, "agents/agent", "three")
    is_shut(ours)
    is_open(theirs)
    equal(sandbox_of(gate, theirs), None, "the other's sandbox")
    World.api.put_pod("agents", "three", labels=ROLE, ips=[ours.v4], phase="Running")
    World.api.put_pod("web", "four", ips=[theirs.v4], phase="Running")


@case("what was held and is nobody's in scope is let go")
def held_by_mistake(lab, gate):
    World.api.put_pod("agents", "five", labels=ROLE)
    wait_until(lambda: cluster(gate)["pods"]["waiting"] == 1, "the pod to wait")
    pod = World.pods["six"] = Pod(lab).plug().number_it()
    wait_until(lambda: sandbox_of(gate, pod), "the interface to be held")
    true(not conditions(gate, "InterfaceHeld"), "nobody is troubled with it at once")
    wait_until(lambda: conditions(gate, "InterfaceHeld"), "status to tell of it after half a minute", 40)
    true(sandbox_of(gate, pod)["interface"] in conditions(gate, "InterfaceHeld")[0]["message"], "the interface is named")
    is_shut(pod)
    World.api.put_pod("web", "six", ips=[pod.v4], phase="Running")  # told late
    let_go(gate, pod)
    is_open(pod)
    wait_until(lambda: not conditions(gate, "InterfaceHeld"), "status to tell of it no more")
    true(cluster(gate)["discovery_window"]["let_go"] >= 1, "counted as let go")
    World.api.remove_pod("agents", "five")


@case("labels edited on a live pod are another policy at once; connections to what is allowed no longer are cut")
def labels(_lab, gate):
    pod = World.pods["one"]
    World.api.put_pod("agents", "one", labels={"role": "other"}, ips=[pod.v4], phase="Running")
    under(gate, pod, "agents/other", "one")
    equal(pod.ns.connect(ALLOWED, 80, timeout=0.3), "ETIMEDOUT", "what only the old policy allowed")
    wait_until(lambda: pod.asks("other.allowed.example") == ["93.184.216.35"], "what the new one allows")


@case("a pod that no policy selects is opened")
def unselected(_lab, gate):
    pod = World.pods["one"]
    World.api.put_pod("agents", "one", labels={"role": "none"}, ips=[pod.v4], phase="Running")
    let_go(gate, pod)
    is_open(pod)
    equal(cluster(gate)["pods"]["unselected"], 1, "unselected")
    World.api.put_pod("agents", "one", labels=ROLE, ips=[pod.v4], phase="Running")
    under(gate, pod, "agents/agent", "one")
    is_shut(pod)


@case("a policy that is edited, goes and comes moves the pods that it selects")
def policies(_lab, gate):
    pod = World.pods["one"]
    gate.remove_policy("agent")
    gate.reload()
    let_go(gate, pod)
    gate.write_policy("agent", POLICIES["agent"])
    gate.reload()
    under(gate, pod, "agents/agent", "one")
    is_shut(pod)


@case("without any policy what is attached is shut, a new pod is held, and a condition says why; the first policy ends it")
def no_policies(lab, gate):
    pod = World.pods["one"]
    for name in POLICIES:
        gate.remove_policy(name)
    gate.reload()
    true(sandbox_of(gate, pod), "the sandbox")
    is_shut(pod)
    equal(pod.asks(), [], "a lookup")
    World.api.put_pod("agents", "early", labels=ROLE)
    wait_until(lambda: cluster(gate)["pods"]["waiting"] == 1, "the pod to wait")
    early = World.pods["early"] = Pod(lab).plug().number_it()
    World.api.put_pod("agents", "early", labels=ROLE, ips=[early.v4], phase="Running")
    wait_until(lambda: sandbox_of(gate, early), "the interface to be held")
    is_shut(early)
    wait_until(lambda: conditions(gate, "NoPolicies"), "the condition")
    for name, text in POLICIES.items():
        gate.write_policy(name, text)
    gate.reload()
    under(gate, early, "agents/agent", "early")
    under(gate, pod, "agents/agent", "one")
    wait_until(lambda: pod.asks() == [ALLOWED], "lookups")
    equal(conditions(gate, "NoPolicies"), [], "the condition")
    World.api.remove_pod("agents", "early")
    World.pods.pop("early").unplug()


@case("a pod that is locked down stays so when its labels and its namespace's change")
def locked_down(_lab, gate):
    pod = World.pods["one"]
    gate.cli("sandbox", "mode", pod.host_if, "lockdown")
    World.api.put_pod("agents", "one", labels={"role": "none"}, ips=[pod.v4], phase="Running")
    World.api.put_namespace("agents", {"postern.dev/enforce": "false"})
    time.sleep(0.3)
    equal(sandbox_of(gate, pod)["mode"], "lockdown", "mode")
    is_shut(pod)
    World.api.put_namespace("agents", SCOPED)
    World.api.put_pod("agents", "one", labels=ROLE, ips=[pod.v4], phase="Running")
    under(gate, pod, "agents/agent", "one")
    is_shut(pod)
    gate.cli("sandbox", "mode", pod.host_if, "enforce")
    wait_until(lambda: pod.asks() == [ALLOWED], "the allowed name")


@case("a namespace that leaves the scope lets its pods go; one that enters it shuts them")
def namespaces(_lab, gate):
    pod, other = World.pods["one"], World.pods["two"]
    World.api.put_namespace("agents", {"postern.dev/enforce": "false"})
    let_go(gate, pod)
    is_open(pod)
    World.api.put_namespace("agents", SCOPED)
    under(gate, pod, "agents/agent", "one")
    is_shut(pod)
    is_open(other)


@case("broken policies: the old ones stay, with a condition and an event; mended, both end")
def broken(_lab, gate):
    gate.write_policy("agent", POLICIES["agent"].replace("names:", "nmaes:"))
    wait_until(lambda: conditions(gate, "PoliciesRejected"), "the condition")
    wait_until(lambda: World.api.events, "the event")
    event = World.api.events[0]
    equal(event["reason"], "PoliciesRejected", "the event's reason")
    true("nmaes" in event["message"], event["message"])
    is_shut(World.pods["one"])
    under(gate, World.pods["one"], "agents/agent", "one")
    gate.write_policy("agent", POLICIES["agent"])
    wait_until(lambda: not conditions(gate, "PoliciesRejected"), "its end")


@case("flows carry the pod, and are found by its name")
def flows(_lab, gate):
    pod = World.pods["one"]
    wait_until(lambda: pod.asks("denied.example.org") == [], "a denial")
    def seen():
        found = gate.flows("--pod", "agents/one", "--verdict", "DROPPED")
        return [each for each in found if each["source"].get("pod_name") == "one"]
    flow = wait_until(seen, "a flow of the pod", 5)[0]
    equal(flow["source"]["namespace"], "agents", "namespace")
    true("k8s:role=agent" in flow["source"]["labels"], flow["source"]["labels"])


@case("the API server is away: what is attached stays, also when posternd starts again; then all goes on")
def api_away(_lab, gate):
    pod = World.pods["one"]
    World.api.stop()
    wait_until(lambda: conditions(gate, "ApiServerUnreachable"), "the condition", 10)
    is_shut(pod)
    gate.daemons["posternd"].stop()
    is_shut(pod)
    gate.start_posternd()  # by the policy objects that it left on record
    wait_until(lambda: conditions(gate, "ApiServerUnreachable"), "the condition", 10)
    under(gate, pod, "agents/agent", "one")
    is_shut(pod)
    is_open(World.pods["two"])
    wait_until(lambda: pod.asks() == [ALLOWED], "lookups to go on")
    World.api.remove_pod("agents", "three")  # meanwhile
    World.api.put_pod("agents", "one", labels={"role": "other"}, ips=[pod.v4], phase="Running")
    World.api.start()
    wait_until(lambda: cluster(gate)["synced"], "posternd to know the cluster", 15)
    under(gate, pod, "agents/other", "one")
    is_shut(World.pods["three"])  # its interface is still there


def without_upstreams(gate):
    with open(gate.config_path, encoding="utf-8") as file:
        config = json.load(file)
    del config["dns"]["upstreams"]
    with open(gate.config_path, "w", encoding="utf-8") as file:
        json.dump(config, file)


@case("posternd starts with broken policies: what is attached goes on, lookups too; a new pod in scope is held; mended, all is well")
def broken_at_start(lab, gate):
    pod = World.pods["one"]
    World.api.put_pod("agents", "one", labels=ROLE, ips=[pod.v4], phase="Running")
    under(gate, pod, "agents/agent", "one")
    gate.daemons["posternd"].stop()
    gate.write_policy("agent", POLICIES["agent"].replace("names:", "nmaes:"))
    gate._start("posternd", "--config", gate.config_path)
    gate._await_socket("posternd", gate.control)
    wait_until(lambda: cluster(gate)["synced"], "posternd to know the cluster", 10)
    true(conditions(gate, "PoliciesRejected"), "the condition")
    is_shut(pod)
    wait_until(lambda: pod.asks() == [ALLOWED], "lookups to go on")
    World.api.put_pod("agents", "new", labels=ROLE)
    wait_until(lambda: cluster(gate)["pods"]["waiting"] == 1, "the pod to wait")
    new = World.pods["new"] = Pod(lab).plug().number_it()
    World.api.put_pod("agents", "new", labels=ROLE, ips=[new.v4], phase="Running")
    wait_until(lambda: sandbox_of(gate, new), "the interface to be held")
    is_shut(new)
    gate.write_policy("agent", POLICIES["agent"])
    under(gate, new, "agents/agent", "new")
    wait_until(lambda: new.asks() == [ALLOWED], "the new pod's lookups")
    under(gate, pod, "agents/agent", "one")
    wait_until(lambda: pod.asks() == [ALLOWED], "the first one's")
    equal(cluster(gate)["conditions"], [], "conditions")


@case("no DNS server is known any more: status says so, workers of before ask the last; new ones answer SERVFAIL; then the Service's")
def upstream(_lab, gate):
    pod = World.pods["one"]
    World.api.put_pod("agents", "one", labels=ROLE, ips=[pod.v4], phase="Running")
    gate.daemons["posternd"].stop()
    without_upstreams(gate)
    gate.start_posternd()
    under(gate, pod, "agents/agent", "one")
    def said():
        return conditions(gate, "UpstreamUnknown")
    true("dns.upstreams" in wait_until(said, "the condition")[0]["message"], "what to do")
    # Names that are not in the workers' cache.
    def answers(rcode, kind):
        answer = ask(pod.ns, "8.8.8.8", "www.allowed.example", kind=kind, timeout=1)
        return answer and answer.rcode == rcode
    wait_until(lambda: answers("NOERROR", "AAAA"), "lookups to go on")
    gate.daemons["postern-dns"].stop()
    gate.start_dns()
    wait_until(lambda: answers("SERVFAIL", "A"), "SERVFAIL", 10)
    World.api.service = {"kind": "Service", "spec": {"clusterIP": UPSTREAM, "selector": {"k8s-app": "kube-dns"}}}
    wait_until(lambda: cluster(gate)["dns_source"] == "Service kube-system/kube-dns", "the Service to be found", 10)
    wait_until(lambda: pod.asks() == [ALLOWED], "lookups to be answered again")
    equal(said(), [], "the condition")


@case("pods behind the upstream address are never steered, and that is said")
def dns_pods(_lab, gate):
    World.api.put_pod("agents", "resolver", labels=ROLE, ips=[UPSTREAM])
    def said():
        return conditions(gate, "DnsPodInScope")
    true("agents/resolver" in wait_until(said, "the condition")[0]["message"], "which pod")
    World.api.remove_pod("agents", "resolver")
    wait_until(lambda: not said(), "its end")


@case("a pod's sandbox goes with its interface")
def gone(_lab, gate):
    for name in ("one", "three", "new"):
        World.pods[name].unplug()
        let_go(gate, World.pods[name])
    is_open(World.pods["two"])


@case("each permission that is missing is said, with what to apply: of pods, of namespaces, of the Service of the DNS")
def forbidden(_lab, gate):
    def said():
        return conditions(gate, "PermissionMissing")
    for path in ("/api/v1/pods", "/api/v1/namespaces", "/api/v1/namespaces/kube-system/services/kube-dns"):
        gate.daemons["posternd"].stop()
        World.api.stop()
        World.api.forbid = (path,)
        World.api.start()
        gate.start_posternd()
        condition = wait_until(said, f"the condition of {path}", 20)[0]
        true("ClusterRole" in condition["message"] and f"{path} is forbidden" in condition["message"], condition["message"])
        World.api.forbid = ()
        wait_until(lambda: not said(), "its end", 40)


@case("without the permission to make events broken policies are said all the same, and the log says which one is missing")
def no_events(_lab, gate):
    World.api.forbid = ("/api/v1/namespaces/default/events",)
    gate.write_policy("agent", POLICIES["agent"].replace("names:", "nmaes:"))
    wait_until(lambda: conditions(gate, "PoliciesRejected"), "the condition")
    wait_until(lambda: "an event for the refused policies: " in gate.daemons["posternd"].log(), "the log")
    line = next(line for line in gate.daemons["posternd"].log().splitlines() if "an event for the refused policies" in line)
    true("events is forbidden" in line and "ClusterRole" in line, line)
    World.api.forbid = ()
    gate.write_policy("agent", POLICIES["agent"])
    wait_until(lambda: not conditions(gate, "PoliciesRejected"), "its end")


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE, sandboxes=0))
