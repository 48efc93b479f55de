#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Policies that speak of pods, nodes and Services: opened and closed as the API server tells them, and asked for only then."""
import sys

from harness import case, equal, main, true, wait_until
from pods import ALLOWED, DENIED, ROLE, ZONE, World, come, conditions, is_shut, prepare, under

SERVICE = "93.184.216.35"
NOT_OF_THE_CLUSTER = "93.184.216.34"
EGRESS = {"matchLabels": ROLE}
TO_API = [{"toEndpoints": [{"matchLabels": {"app": "api"}}], "toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}]}]}]
WHOLE = ("/api/v1/nodes", "/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices")


def with_cilium(lab):
    gate = prepare(lab, {}, resources=[("EgressPolicy", "egresspolicies"), ("CiliumNetworkPolicy", "ciliumnetworkpolicies", "cilium.io/v2")],
                   kinds=["EgressPolicy", "CiliumNetworkPolicy"])
    World.api.put_node("lab-node", ["198.51.100.1"])
    return gate


def policy(egress, name="theirs"):
    World.api.put_policy("CiliumNetworkPolicy", name, {"endpointSelector": EGRESS, "egress": egress}, "agents")


def opens(pod, address, why):
    wait_until(lambda: pod.ns.connect(address, 80, timeout=0.3) == "ok", why, 40)


def closes(pod, address, why):
    wait_until(lambda: pod.ns.connect(address, 80, timeout=0.3) == "ETIMEDOUT", why, 8)


@case("as long as no policy speaks of them, the cluster's pods, nodes and Services are not asked for")
def not_asked(lab, gate):
    World.api.put_policy("EgressPolicy", "agent", {"selector": EGRESS, "allow": [{"names": ["www.allowed.example"], "ports": [80]}]},
                         "agents")
    pod = come(lab, gate, "one", ROLE, "agents/agent")
    wait_until(lambda: pod.asks() == [ALLOWED], "the allowed name")
    true(not [path for path in World.api.asked if path.startswith(WHOLE)], sorted(World.api.asked))
    World.api.remove_policy("EgressPolicy", "agent", "agents")


@case("toEndpoints opens the pods of any node that it selects, and closes them when they go")
def endpoints(_lab, gate):
    pod = World.pods["one"]
    policy(TO_API)
    under(gate, pod, "CiliumNetworkPolicy:agents/theirs", "one")
    is_shut(pod)
    World.api.put_pod("agents", "api-1", labels={"app": "api"}, ips=[DENIED], phase="Running", node="far-node")
    opens(pod, DENIED, "the pod of another node to be open")
    closes(pod, NOT_OF_THE_CLUSTER, "an address that is no pod's")
    true([path for path in World.api.asked if path.startswith(WHOLE)], "they are asked for")
    World.api.put_pod("agents", "api-1", labels={"app": "other"}, ips=[DENIED], phase="Running", node="far-node")
    closes(pod, DENIED, "the pod that is selected no more")
    World.api.put_pod("agents", "api-1", labels={"app": "api"}, ips=[DENIED], phase="Running", node="far-node")
    opens(pod, DENIED, "the pod again")
    World.api.remove_pod("agents", "api-1")
    closes(pod, DENIED, "the pod that is gone")


@case("the Service in front of such pods is open on its ports, one in front of others is not")
def service(_lab, _gate):
    pod = World.pods["one"]
    World.api.put_pod("agents", "api-1", labels={"app": "api"}, ips=[DENIED], phase="Running", node="far-node")
    World.api.put_service("agents", "api", SERVICE, selector={"app": "api"})
    opens(pod, SERVICE, "the Service's address")
    World.api.put_pod("agents", "stranger", labels={"app": "api", "x": "y"}, ips=["203.0.113.77"], phase="Running", node="far-node")
    World.api.put_service("agents", "api", SERVICE, selector={"app": "none"})
    closes(pod, SERVICE, "the Service of others")


@case("toServices opens what is ready behind a Service")
def to_services(_lab, gate):
    pod = World.pods["one"]
    World.api.put_service("agents", "outside", "203.0.113.80")
    World.api.put_endpoints("agents", "outside", [NOT_OF_THE_CLUSTER])
    policy([{"toServices": [{"k8sService": {"serviceName": "outside", "namespace": "agents"}}]}])
    opens(pod, NOT_OF_THE_CLUSTER, "the endpoint")
    closes(pod, DENIED, "a pod that the policy speaks of no more")
    World.api.put_endpoints("agents", "outside", ["203.0.113.78"])
    closes(pod, NOT_OF_THE_CLUSTER, "the endpoint that is gone")
    equal(conditions(gate, "PolicyObjectsRefused"), [], "refused objects")


@case("world is not the cluster: a pod's address stays closed, and opens when it is nobody's any more")
def world(_lab, _gate):
    pod = World.pods["one"]
    policy([{"toEntities": ["world"]}])
    opens(pod, NOT_OF_THE_CLUSTER, "an address of the world")
    closes(pod, DENIED, "a pod of the cluster")
    World.api.remove_pod("agents", "api-1")
    opens(pod, DENIED, "the address that is no pod's any more")


@case("the rights are missing: such a policy is refused and says so, pods that only it closes are shut; given, it is in force")
def forbidden(lab, gate):
    gate.daemons["posternd"].stop()
    World.api.put_policy("EgressPolicy", "agent", {"selector": {"matchLabels": {"role": "plain"}}, "allow": [
        {"names": ["www.allowed.example"], "ports": [80]}]}, "agents")
    World.api.forbid = ("/api/v1/nodes",)
    gate._start("posternd", "--config", gate.config_path)  # its first policies wait until the refusal has lasted
    gate._await_socket("posternd", gate.control)
    told = wait_until(lambda: conditions(gate, "PermissionMissing"), "the condition", 10)[0]["message"]
    true("nodes" in told and "other-kinds" in told, told)
    wait_until(lambda: conditions(gate, "PolicyObjectsRefused"), "the refused policy, when that has lasted", 25)
    pod = World.pods["one"]
    closes(pod, NOT_OF_THE_CLUSTER, "what the policy cannot open now")
    plain = come(lab, gate, "two", {"role": "plain"}, "agents/agent")
    wait_until(lambda: plain.asks() == [ALLOWED], "lookups under the policy that speaks of names alone")
    World.api.forbid = ()
    opens(pod, NOT_OF_THE_CLUSTER, "the policy to be in force")


if __name__ == "__main__":
    sys.exit(main(with_cilium, zone=ZONE, sandboxes=0))
