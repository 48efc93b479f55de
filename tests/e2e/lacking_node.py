# SPDX-License-Identifier: Apache-2.0
"""A container under the runtime's own seccomp profile, which forbids bpf(2): it says so where one looks, and opens nothing."""
import json

from lab.commands import wait_until

from .outages import gate_holds
from .postern import NAMESPACE, now_utc

CONTAINER = "dns"  # without capabilities, so that the runtime's profile gives it nothing
WORDS = "bpf(2) is forbidden"


def set_profile(cluster, profile):
    spec = cluster.get("daemonset", "postern", "-n", NAMESPACE)["spec"]["template"]["spec"]
    index = [each["name"] for each in spec["containers"]].index(CONTAINER)
    change = [{"op": "replace", "path": f"/spec/template/spec/containers/{index}/securityContext/seccompProfile", "value": profile}]
    cluster.kubectl("patch", "daemonset", "postern", "-n", NAMESPACE, "--type=json", "-p", json.dumps(change))


def ended(postern):
    """What `kubectl describe pod` shows of the container's last end."""
    statuses = postern.pod()["status"].get("containerStatuses", [])
    state = next((each for each in statuses if each["name"] == CONTAINER), {})
    return ((state.get("lastState") or {}).get("terminated") or (state.get("state") or {}).get("terminated") or {}).get("message", "")


def without_profile(story, postern, pod):
    since = now_utc()
    set_profile(postern.cluster, {"type": "RuntimeDefault"})
    story.note(f"container {CONTAINER} is now under the runtime's default seccomp profile")
    try:
        line = wait_until(lambda: next((each for each in postern.log(CONTAINER, since).splitlines() if WORDS in each), None), "the log", 60)
    except TimeoutError:
        line = ""
    story.check("its log tells which profile it needs, and where that lies", "localhostProfile: postern/dns.json" in line, line)
    try:
        said = wait_until(lambda: WORDS in ended(postern) and ended(postern), "the pod's status", 30)
    except TimeoutError:
        said = ""
    story.check("so does `kubectl describe pod`, as its last words", bool(said), said.strip())
    seen = pod.connect("8.8.8.8", 443)
    story.check("nothing opens meanwhile: 8.8.8.8:443 is blocked", seen == "ETIMEDOUT", seen)
    status = postern.command("status", check=False).out
    told = next((each.strip() for each in status.splitlines() if "postern-dns is not running" in each), "")
    story.check("`postern status` tells that lookups are not answered", bool(told), told)
    postern.apply_base()
    postern.await_ready()
    gate_holds(story, pod, "the profile given back")
