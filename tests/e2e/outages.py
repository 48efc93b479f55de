# SPDX-License-Identifier: Apache-2.0
"""What the API server takes away: itself, later and at posternd's start, and the right to ask it."""
from lab.commands import wait_until

from .live_changes import INDEX, OTHER
from .postern import SOCKET, now_utc


def gate_holds(story, pod, when):
    allowed, denied, address = pod.fetch(INDEX), pod.lookup(OTHER), pod.connect("8.8.8.8", 443)
    story.check(f"{when}: {INDEX} answers, {OTHER} does not resolve, 8.8.8.8:443 is blocked",
                allowed.startswith("HTTP") and "." not in denied and address == "ETIMEDOUT", f"{allowed} / {denied} / {address}")


def new_line(postern, since, words, timeout=60):
    """The first line of the agent's log since then that has one of the words, or None."""
    def found():
        return next((line for line in postern.log("agent", since).splitlines() if any(word in line for word in words)), None)
    try:
        return wait_until(found, "the log", timeout)
    except TimeoutError:
        return None


def restart_agent(postern, container):
    """Kills posternd without asking the API server, and waits until the kubelet has started another."""
    since = now_utc()
    postern.cluster.node.run(["ctr", "--address", SOCKET, "--namespace", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", container])
    if not new_line(postern, since, ["is up"]):
        raise TimeoutError("waited 60 s for posternd to be started again")
    return since


def api_server_away(story, postern, pod):
    """First under a running posternd, then at its start; nothing opens and nothing that is open closes."""
    control = postern.cluster.control
    container = postern.container_id("agent")
    since = now_utc()
    control.stop_api_server()
    story.note("the API server is stopped")
    line = new_line(postern, since, ["ApiServerUnreachable"])
    story.check("posternd's log tells that the API server is away", bool(line), line or postern.log("agent")[-300:])
    gate_holds(story, pod, "API server away")
    since = restart_agent(postern, container)
    story.note("posternd was killed; the kubelet has started another")
    line = new_line(postern, since, ["ApiServerUnreachable"])
    story.check("the new posternd's log tells that the API server is away", bool(line), line or postern.log("agent")[-300:])
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
    since = restart_agent(postern, container)
    line = new_line(postern, since, ["forbidden"])
    story.check("posternd's log tells which permission it lacks", bool(line), line or postern.log("agent")[-300:])
    status = postern.status()
    told = next((text.strip() for text in status.splitlines() if any(word in text for word in ("forbidden", "403", "may not"))), "")
    story.check("`postern status` tells it", bool(told), told or status[-300:])
    gate_holds(story, pod, "without permission")
    postern.apply_base()
    postern.await_ready()
    wait_until(lambda: not any(word in postern.status() for word in ("forbidden", "403", "may not")), "status to be well again", 120)
    gate_holds(story, pod, "permission given back")
