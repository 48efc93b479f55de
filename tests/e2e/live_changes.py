# SPDX-License-Identifier: Apache-2.0
"""Changes under a living agent: of its policy, of its labels, and of its policy by a mistake."""
import os
import time

from lab.commands import wait_until

from .kept_connection import KeptConnection
from .postern import NAMESPACE, ROOT

OTHER = "blocked-example.example.com"
MODEL = "api.anthropic.com"
INDEX = "pypi.org"

SECOND_POLICY = """apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: reader, namespace: agent-sandboxes}
spec:
  selector: {matchLabels: {agent-sandbox/role: reader}}
  allow:
  - names: [blocked-example.example.com]
"""


def reference_policy():
    with open(os.path.join(ROOT, "examples", "reference-agent.yaml"), encoding="utf-8") as file:
        return file.read()


def edited_policy():
    """The reference agent's, without the language model and with one more name."""
    text = reference_policy()
    for old, new in (("    - {name: llm-apis, groups: [anthropic]}\n", ""), ("  - names:\n", f"  - names:\n    - {OTHER}\n")):
        if text.count(old) != 1:
            raise ValueError(f"examples/reference-agent.yaml has no line {old!r} to edit")
        text = text.replace(old, new)
    return text


def resolves(pod, name):
    return "." in pod.lookup(name)


def await_names(pod, opened, closed, timeout=90):
    """Waits until names resolve and others do not; returns the seconds it took, or None."""
    began = time.monotonic()
    try:
        wait_until(lambda: all(resolves(pod, n) for n in opened) and not any(resolves(pod, n) for n in closed), "the change", timeout)
    except TimeoutError:
        return None
    return time.monotonic() - began


def policy_edit(story, postern, pod):
    """A name opens, a name closes, and what is kept is not cut."""
    kept = KeptConnection(pod, INDEX)
    removed = KeptConnection(pod, MODEL)
    story.note(f"the agent holds a TLS connection to {INDEX} and one to {MODEL}")
    postern.set_policies({"reference-agent.yaml": edited_policy(), "reader.yaml": SECOND_POLICY})
    story.note(f"the ConfigMap now allows {OTHER} and no longer {MODEL}")
    took = await_names(pod, [OTHER], [MODEL])
    story.check(f"{OTHER} opened and {MODEL} closed, in the running pod", took is not None,
                f"{took:.1f} s after kubectl; the kubelet takes most of it" if took else f"{pod.lookup(OTHER)} / {pod.lookup(MODEL)}")
    seen = pod.fetch(OTHER)
    story.check(f"https://{OTHER}/ answers", seen == "HTTP 200", seen)
    story.check(f"the connection to {INDEX} lives on", kept.lives(), f"{kept.answers()} answers on it")
    seen = removed.ends()
    story.check(f"the connection to {MODEL} is cut", seen is not None, seen or "it still lives")
    kept.program.stop()


def label_edit(story, postern, pod):
    """Another label on the living pod, another policy."""
    cluster = postern.cluster
    words = ["label", "pod", pod.name, "-n", pod.namespace, "--overwrite", "agent-sandbox/role=reader"]
    story.show("kubectl " + " ".join(words), cluster.kubectl(*words).out)
    took = await_names(pod, [OTHER], [INDEX])
    story.check(f"policy `reader` is in force: {OTHER} resolves, {INDEX} does not", took is not None,
                f"after {took:.1f} s" if took else f"{pod.lookup(OTHER)} / {pod.lookup(INDEX)}")
    cluster.kubectl("label", "pod", pod.name, "-n", pod.namespace, "--overwrite", "agent-sandbox/role=runtime")
    took = await_names(pod, [INDEX], [])
    story.check("the label is put back, and the first policy with it", took is not None, f"after {took:.1f} s" if took else "")


def broken_policy(story, postern, pod):
    """A ConfigMap with a mistake: the policies before it stay, and it is said where one looks."""
    broken = reference_policy().replace("matchLabels:", "matchLables:")
    postern.set_policies({"reference-agent.yaml": broken, "reader.yaml": SECOND_POLICY})
    story.note("the ConfigMap now says matchLables")

    def told():
        status = postern.status()
        return status if "matchLables" in status else None
    try:
        status = wait_until(told, "`postern status` to tell of it", 60)
    except TimeoutError:
        status = ""
    story.check("`postern status` tells of it", bool(status), next((line.strip() for line in status.splitlines() if "matchLables" in line), ""))
    lines = [line for line in postern.log("agent").splitlines() if "matchLables" in line]
    story.check("the pod's log tells of it", bool(lines), lines[-1] if lines else "")
    events = [e for e in postern.cluster.get("events", "-n", NAMESPACE)["items"] if "matchLables" in (e.get("message") or "")]
    story.check("an event tells of it", bool(events), f"{events[-1]['reason']}: {events[-1]['message']}" if events else "")
    seen = pod.fetch(OTHER), pod.lookup(MODEL)
    story.check("the policy before it stays in force", seen[0] == "HTTP 200" and "." not in seen[1], " / ".join(seen))
    postern.set_policies({"reference-agent.yaml": reference_policy(), "reader.yaml": SECOND_POLICY})
    took = await_names(pod, [MODEL], [OTHER])
    story.check("the mended ConfigMap takes effect", took is not None, f"after {took:.1f} s" if took else "")
    story.check("`postern status` tells of no mistake any more", "matchLables" not in postern.status())
