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

from lab import CommandFailed, Lab  # noqa: E402
from lab.cleanup import what_is_left  # noqa: E402

from e2e import agent_pod  # noqa: E402
from e2e.cluster import Cluster  # noqa: E402
from e2e.machine import Snapshot  # noqa: E402
from e2e.screen import Story  # noqa: E402

import demo  # noqa: E402  (screen.py put scripts/ on the path)


def without_gate(story, cluster):
    story.part("Without the gate: everything is reachable")
    agent_pod.load_image(cluster)
    agent_pod.make_namespace(cluster)
    pod = agent_pod.AgentPod(cluster, "agent-0")
    story.note(f"pod {agent_pod.NAMESPACE}/{pod.name} runs at {pod.address}, no Postern in the cluster")
    story.five_steps(pod, demo.WITHOUT_GATE)
    pod.delete()


def scenario(story, options):
    with Lab(zone=demo.ZONE, servers=demo.SERVERS, sandboxes=0) as lab:
        demo.fill_internet(lab.folder)
        story.part("A Kubernetes of one node, in namespaces of its own")
        cluster = Cluster(lab, options.kubernetes, story.note).start()
        story.show("kubectl get nodes,pods -A -o wide", cluster.kubectl("get", "nodes,pods", "-A", "-o", "wide").out)
        without_gate(story, cluster)
        if options.keep:
            story.note(f"kept until Enter: {' '.join(cluster.node.wrap(['kubectl', '--kubeconfig', cluster.control.kubeconfig]))}")
            input()


def main():
    parser = argparse.ArgumentParser(description="Runs Postern as a DaemonSet of a real one-node Kubernetes, and the scenario through it.")
    parser.add_argument("--kubernetes", required=True, help="folder of the Kubernetes servers; scripts/kubernetes.sh prints it")
    parser.add_argument("--image", default=os.path.join(ROOT, "build", "image", "postern.tar"), help="Postern's image, of scripts/image.sh")
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
