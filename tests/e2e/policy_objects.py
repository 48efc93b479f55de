# SPDX-License-Identifier: Apache-2.0
"""A policy as an object of the API server: applied, edited, wrong, deleted; its author looks at it with kubectl."""
import json

from lab.commands import wait_until

from .agent_pod import NAMESPACE
from .live_changes import INDEX, MODEL, OTHER, await_names

NAME = "status-page"


def policy(*names):
    return {"apiVersion": "postern.dev/v1alpha1", "kind": "EgressPolicy", "metadata": {"name": NAME, "namespace": NAMESPACE},
            "spec": {"selector": {"matchLabels": {"agent-sandbox/role": "runtime"}}, "allow": [{"names": list(names)}]}}


def apply(cluster, thing):
    return cluster.kubectl("apply", "-f", "-", stdin=json.dumps(thing)).out


def told(cluster, status):
    """The condition Accepted of the object as it is now, once it is that."""
    def is_told():
        seen = cluster.get("egresspolicies", NAME, "-n", NAMESPACE)
        return next((c for c in seen.get("status", {}).get("conditions", [])
                     if c["status"] == status and c["observedGeneration"] == seen["metadata"]["generation"]), None)
    try:
        return wait_until(is_told, f"the object's condition to be {status}", 20)
    except TimeoutError:
        return None


def objects(story, postern, pod):
    cluster = postern.cluster
    story.show("kubectl apply -f status-page.yaml", apply(cluster, policy(OTHER)))
    took = await_names(pod, [OTHER, INDEX], [], 20)
    story.check(f"it opens {OTHER} to the running pod, beside what the file's policy opens", took is not None,
                f"{took:.1f} s after kubectl" if took else "")
    condition = told(cluster, "True")
    story.check("its author is told that it is in force", condition is not None)
    story.show("kubectl get egresspolicies -A -o wide", cluster.kubectl("get", "egresspolicies", "-A", "-o", "wide").out)
    status = postern.show_command("status", lines=60)
    story.check("`postern status` lists it with its title", f"EgressPolicy {NAMESPACE}/{NAME}" in status)

    apply(cluster, policy(OTHER, "*.github.io"))
    story.note("the object now says *.github.io, where anybody may register a name: no schema knows that")
    condition = told(cluster, "False")
    story.check("its author is told which field is wrong", condition is not None and "spec.allow[0].names[1]" in condition["message"],
                condition["message"] if condition else "")
    story.show("kubectl get egresspolicies -A -o wide", cluster.kubectl("get", "egresspolicies", "-A", "-o", "wide").out)
    seen = pod.fetch(OTHER)
    story.check("what it was before stays in force", seen == "HTTP 200", seen)
    story.check("`postern status` tells of it", "PolicyObjectsRefused" in postern.status())

    words = ["delete", "egresspolicies", NAME, "-n", NAMESPACE]
    story.show("kubectl " + " ".join(words), cluster.kubectl(*words).out)
    took = await_names(pod, [INDEX, MODEL], [OTHER], 20)
    story.check(f"deleted, it closes {OTHER}", took is not None, f"{took:.1f} s after kubectl" if took else "")
    story.check("`postern status` tells of nothing wrong any more", "PolicyObjectsRefused" not in postern.status())
