#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The scenario of `./dev e2e`: a real Kubernetes, the reference agent as a pod, the gate off and on, live changes.

Prints what happens as it goes. Exit status 0 only if every outcome is as expected and nothing is left behind.
"""
import argparse
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from lab import CommandFailed, Lab, wait_until  # noqa: E402
from lab.cleanup import what_is_left  # noqa: E402

from e2e import agent_pod, lacking_node, live_changes, outages, policy_objects  # noqa: E402
from e2e.cluster import Cluster  # noqa: E402
from e2e.machine import Snapshot  # noqa: E402
from e2e.postern import SCOPE_LABEL, Postern  # noqa: E402
from e2e.screen import Story  # noqa: E402

import demo  # noqa: E402  (screen.py put scripts/ on the path)


def without_gate(story, cluster):
    story.part("Without the gate: everything is reachable")
    agent_pod.load_image(cluster)
    agent_pod.make_namespace(cluster)
    pod = agent_pod.AgentPod(cluster, "agent-0")
    story.note(f"pod {pod.namespace}/{pod.name} runs at {pod.address}, no Postern in the cluster")
    story.five_steps(pod, demo.WITHOUT_GATE)
    pod.delete()


def install(story, cluster, archive):
    story.part("Postern is installed")
    postern = Postern(cluster, archive, story)
    postern.install()
    words = ["label", "namespace", agent_pod.NAMESPACE, f"{SCOPE_LABEL}=true"]
    story.show("kubectl " + " ".join(words), cluster.kubectl(*words).out)
    story.show("kubectl get pods -A -o wide", cluster.kubectl("get", "pods", "-A", "-o", "wide").out)
    return postern


def before_the_first_policy(story, postern, pod):
    """The ConfigMap is not there, or the kubelet has not brought it: that must not pass for "no policy selects it"."""
    seen = pod.lookup(live_changes.INDEX), pod.connect("8.8.8.8", 443)
    story.check("before the first policy the pod is denied everything", "." not in seen[0] and seen[1] == "ETIMEDOUT", " / ".join(seen))
    line = next((line.strip() for line in postern.status().splitlines() if "NoPolicies" in line), "")
    story.check("`postern status` tells why", bool(line), line)


def with_gate(story, postern):
    story.part("With the gate: what the policy allows, and nothing else")
    pod = agent_pod.AgentPod(postern.cluster, "agent-1")
    story.note(f"pod {pod.namespace}/{pod.name} runs at {pod.address}; there is no policy yet")
    before_the_first_policy(story, postern, pod)
    postern.set_policies({"reference-agent.yaml": live_changes.reference_policy()})
    took = live_changes.await_names(pod, [live_changes.INDEX], [live_changes.OTHER])
    story.check("the first policy opens what it allows", took is not None, f"{took:.1f} s after kubectl; the kubelet takes most of it" if took else "")
    story.five_steps(pod, demo.WITH_GATE)
    wanted = ("blocked-example.example.com", "8.8.8.8:443")
    try:
        wait_until(lambda: all(word in postern.command("observe", "--blocked", "--last", "50").out for word in wanted), "both denials", 10)
        seen = True
    except TimeoutError:
        seen = False
    postern.show_command("observe", "--blocked", "--last", "20")
    story.check("both denials are in the flow log", seen)
    status = postern.show_command("status")
    story.check("the window of discovery is measured", "1 new interfaces, open for 0.0 ms" not in status and "1 new interfaces" in status)
    return pod


def out_of_scope(story, postern):
    agent_pod.make_namespace(postern.cluster, "elsewhere")
    pod = agent_pod.AgentPod(postern.cluster, "free", "elsewhere")
    seen = pod.fetch(live_changes.OTHER), pod.connect("8.8.8.8", 443)
    story.check("a pod of a namespace without the label is left alone", seen == ("HTTP 200", "ok"), " / ".join(seen))
    pod.delete()


def live(story, postern, pod):
    story.part("The policy is edited")
    live_changes.policy_edit(story, postern, pod)
    story.part("The pod's label is edited")
    live_changes.label_edit(story, postern, pod)
    story.part("A policy with a mistake")
    live_changes.broken_policy(story, postern, pod)
    story.part("A policy as an object")
    policy_objects.objects(story, postern, pod)
    story.part("The API server is away")
    outages.api_server_away(story, postern, pod)
    story.part("No permission to list pods")
    outages.no_permission(story, postern, pod)
    story.part("A container without its seccomp profile")
    lacking_node.without_profile(story, postern, pod)


def figures(story, postern):
    story.part("What it takes")
    for name, seconds, mib in postern.figures():
        story.note(f"{name:<10} {seconds:6.2f} s of processor time since its start, {mib:6.1f} MiB")
    postern.show_command("status", lines=60)


def uninstall(story, postern, before):
    story.part("Postern is uninstalled")
    postern.uninstall()
    node = postern.cluster.node
    after = Snapshot.of_node(node)
    left = after.left_since(before)
    story.note("looked at on the node, before and after: " + after.counts())
    story.check("nothing of it is left on the node: no pin, program, link, namespace, rule or file", not left, " | ".join(left))
    pod = agent_pod.AgentPod(postern.cluster, "agent-2")
    story.note("and a pod reaches everything again")
    story.five_steps(pod, demo.WITHOUT_GATE)
    pod.delete()


def scenario(story, options):
    with Lab(zone=demo.ZONE, servers=demo.SERVERS, sandboxes=0) as lab:
        demo.fill_internet(lab.folder)
        story.part("A Kubernetes of one node, in namespaces of its own")
        cluster = Cluster(lab, options.kubernetes, story.note).start()
        story.show("kubectl get nodes,pods -A -o wide", cluster.kubectl("get", "nodes,pods", "-A", "-o", "wide").out)
        try:
            without_gate(story, cluster)
            if not options.cluster_only:
                before = Snapshot.of_node(cluster.node)
                postern = install(story, cluster, options.image)
                pod = with_gate(story, postern)
                out_of_scope(story, postern)
                live(story, postern, pod)
                figures(story, postern)
                pod.delete()
                uninstall(story, postern, before)
        finally:
            if options.keep:
                story.note(f"kept until Enter: {' '.join(cluster.node.wrap(['kubectl', '--kubeconfig', cluster.control.kubeconfig]))}")
                input()


def main():
    parser = argparse.ArgumentParser(description="Runs Postern as a DaemonSet of a real one-node Kubernetes, and the scenario through it.")
    parser.add_argument("--kubernetes", required=True, help="folder of the Kubernetes servers; scripts/kubernetes.sh prints it")
    parser.add_argument("--image", default=os.path.join(ROOT, "build", "image", "postern.tar"), help="Postern's image, of scripts/image.sh")
    parser.add_argument("--cluster-only", action="store_true", help="only the cluster and the agent without the gate")
    parser.add_argument("--keep", action="store_true", help="wait for Enter before everything is taken down")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("e2e: it makes namespaces, mounts and cgroups: run it with sudo")
    story = Story()
    before = Snapshot.of_machine()
    try:
        scenario(story, options)
    except (CommandFailed, TimeoutError, OSError, RuntimeError) as error:
        story.check(f"the scenario could go on: {error}", False)
    story.part("Nothing is left on this machine")
    after = Snapshot.of_machine()
    left = what_is_left(os.getpid()) + after.left_since(before)
    story.note("looked at, before and after: " + after.counts())
    story.check("nothing is left: no namespace, process, mount, cgroup, file, pin, program, map or link", not left, " | ".join(left))
    return story.end()


if __name__ == "__main__":
    sys.exit(main())
