# SPDX-License-Identifier: Apache-2.0
"""What the API server takes away: itself, later and at posternd's start, and the right to ask it."""
from lab.commands import wait_until

from .live_changes import INDEX, OTHER
from .postern import BASE, SOCKET


def gate_holds(story, pod, when):
    allowed, denied, address = pod.fetch(INDEX), pod.lookup(OTHER), pod.connect("8.8.8.8", 443)
    story.check(f"{when}: {INDEX} answers, {OTHER} does not resolve, 8.8.8.8:443 is blocked",
                allowed.startswith("HTTP") and "." not in denied and address == "ETIMEDOUT", f"{allowed} / {denied} / {address}")


def new_lines(postern, before, words, timeout):
    """The first line of the agent's log after `before` characters that has one of the words, or None."""
    def found():
        return next((line for line in postern.log("agent")[before:].splitlines() if any(word in line for word in words)), None)
    try:
        return wait_until(found, "the log", timeout)
    except TimeoutError:
        return None


def restart_agent(postern, container):
    """Kills posternd without asking the API server, and waits until the kubelet has started another."""
    before = len(postern.log("agent"))
    postern.cluster.node.run(["ctr", "--address", SOCKET, "--namespace", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", container])
    wait_until(lambda: len(postern.log("agent")) > before, "posternd to be started again", 60)
    return before


def api_server_away(story, postern, pod):
    """First under a running posternd, then at its start; nothing opens and nothing that is open closes."""
    control = postern.cluster.control
    container = postern.container_id("agent")
    before = len(postern.log("agent"))
    control.stop_api_server()
    story.note("the API server is stopped")
    line = new_lines(postern, before, ["API server", "api server"], 60)
    story.check("posternd's log tells that the API server is away", bool(line), line or postern.log("agent")[before:][-300:])
    gate_holds(story, pod, "API server away")
    before = restart_agent(postern, container)
    story.note("posternd was killed; the kubelet has started another")
    line = new_lines(postern, before, ["API server", "api server"], 60)
    story.check("the new posternd's log tells that the API server is away", bool(line), line or postern.log("agent")[before:][-300:])
    gate_holds(story, pod, "API server away at posternd's start")
    control.start_api_server()
    control.await_ready()
    postern.await_ready()
    story.note("the API server is back, the DaemonSet is ready")
    gate_holds(story, pod, "API server back")


def no_permission(story, postern, pod):
    """Without its ClusterRoleBinding posternd may not list pods."""
    cluster = postern.cluster
    container = postern.container_id("agent")
    story.show("kubectl delete clusterrolebinding postern", cluster.kubectl("delete", "clusterrolebinding", "postern").out)
    before = restart_agent(postern, container)
    line = new_lines(postern, before, ["forbidden", "403", "may not"], 60)
    story.check("posternd's log tells which permission it lacks", bool(line), line or postern.log("agent")[before:][-300:])
    status = postern.status()
    told = next((text.strip() for text in status.splitlines() if any(word in text for word in ("forbidden", "403", "may not"))), "")
    story.check("`postern status` tells it", bool(told), told or status[-300:])
    gate_holds(story, pod, "without permission")
    postern.kustomize("apply", BASE)
    postern.await_ready()
    wait_until(lambda: not any(word in postern.status() for word in ("forbidden", "403", "may not")), "status to be well again", 120)
    gate_holds(story, pod, "permission given back")
