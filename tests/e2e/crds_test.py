#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The CRDs, the examples and the permissions in a real kube-apiserver: kubectl applies manifests/base as a user would, the
server takes what tests/unit/crds_test.py calls right and refuses what that calls wrong. A server before Kubernetes 1.25
drops the CEL rules; what they alone refuse is then not asked about.

Exit status: 0 all passed, 1 one failed, 77 not run: no root, or no kube-apiserver (scripts/kubernetes.sh); 1 when CI is set.
"""
import glob
import os
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "tests", "unit")]

import crds_test as unit  # noqa: E402
from e2e.certificates import Authority  # noqa: E402
from e2e.kube_api import ADDRESS, PORT, KubeApi  # noqa: E402
from e2e.kube_watch_test import programs_folder  # noqa: E402
from lab import cleanup  # noqa: E402
from lab.cases import run_cases  # noqa: E402
from lab.commands import wait_until  # noqa: E402
from lab.namespace import Namespace  # noqa: E402
from structural import UNKNOWN, documents, judge  # noqa: E402

US = "system:serviceaccount:postern-system:postern"


class Scene:
    """A namespace with the API server in it, and kubectl as its administrator."""

    def __init__(self, programs, undo):
        name = f"{cleanup.PREFIX}{os.getpid()}"
        self.folder = tempfile.mkdtemp(prefix=name + "-")
        undo.add(shutil.rmtree, self.folder)
        self.namespace = Namespace(name + "-crds", undo, self.folder)
        authority = Authority(os.path.join(self.folder, "keys"))
        self.api = KubeApi(self.namespace, programs, authority, self.folder)
        undo.add(self.api.stop)
        self.api.start_etcd()
        self.api.start()
        self.config = authority.kubeconfig("kubectl", f"https://{ADDRESS}:{PORT}", "crds-admin", "system:masters")
        self.crds = unit.definitions()
        self.kept_rules = False

    def kubectl(self, *words, check=True):
        return self.namespace.run(["env", "HOME=" + self.folder, "kubectl", "--kubeconfig", self.config, *words], check=check, timeout=60)

    def post(self, item):
        """Tells the server of an object and keeps nothing: status and what it says."""
        plural, scope = unit.KINDS[item["kind"]]
        space = "/namespaces/default" if scope == "Namespaced" else ""
        item = {**item, "metadata": {"name": item["metadata"]["name"]}}
        status, answer = self.api.ask("POST", f"/apis/postern.dev/v1alpha1{space}/{plural}?dryRun=All", item)
        return status, answer


def need(good, what):
    if not good:
        raise AssertionError(what)


def base(scene):
    """kubectl apply -k manifests/base"""
    # kubectl itself takes the CEL rules for a mistake when it talks to a server of 1.20.
    out = scene.kubectl("apply", "--validate=false", "-k", os.path.join(ROOT, "manifests/base")).out
    need(out.count("customresourcedefinition.apiextensions.k8s.io/") == 3, out)
    for kind, (plural, _) in unit.KINDS.items():
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.postern.dev"

        def established(path=path):
            found = {each["type"]: each for each in scene.api.must("GET", path).get("status", {}).get("conditions", [])}
            need("NonStructuralSchema" not in found, f"{kind}: {found.get('NonStructuralSchema')}")
            return found.get("Established", {}).get("status") == "True"
        wait_until(established, f"{kind} to be served", 20)
        scene.kept_rules = "x-kubernetes-validations" in str(scene.api.must("GET", path))
    scene.kubectl("apply", "-k", os.path.join(ROOT, "manifests/other-kinds"))
    return f"3 kinds; CEL {'kept' if scene.kept_rules else 'dropped by this server'}"


def examples(scene):
    """kubectl apply -f examples/objects, and what it prints of them"""
    scene.api.make_namespace("agent-sandboxes")
    wait_until(lambda: scene.kubectl("get", "egp", check=False).status == 0, "kubectl to know the kinds", 20)
    scene.kubectl("apply", "-f", os.path.join(ROOT, "examples/objects"))
    scene.api.patch("/apis/postern.dev/v1alpha1/clusteregresspolicies/house-rules/status", {"status": {"conditions": [
        {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "in force", "observedGeneration": 1,
         "lastTransitionTime": "2026-11-28T00:00:00Z"}]}})
    out = scene.kubectl("get", "postern", "-A", "-o", "wide").out + "\n" + scene.kubectl("get", "cegp", "-o", "wide").out
    for word in ("build-agents", "house-rules", "team-services", "2026-11-28", "Admin", "100", "in force"):
        need(word in out, f"{word} is not in:\n{out}")
    if scene.kept_rules:  # an older server describes no kind with a junction (anyOf) below fields that it keeps unknown ones of
        explained = scene.kubectl("explain", "egp.spec.dns.grace_s").out
        need("Seconds that addresses stay open" in explained, explained)
    return "\n" + out


def taken(scene):
    """what is right is taken: all allowlists, and the odd ones of the unit test"""
    paths = [os.path.relpath(path, ROOT) for path in glob.glob(os.path.join(ROOT, "allowlists/*.yaml"))]
    items = [item for path in paths for item in documents(unit.read(path))]
    items += [unit.as_object(kind, spec) for kind in ("EgressPolicy", "ClusterEgressPolicy") for spec in unit.RIGHT_POLICIES]
    for item in items:
        status, answer = scene.post(item)
        need(status == 201, f"{item['metadata']['name']} {str(item['spec'])[:200]}: {answer.get('message')}")
    return f"{len(items)} objects"


def refused(scene):
    """what is wrong is refused"""
    wrong = [("EgressPolicy", *each) for each in unit.WRONG_POLICIES] + [("AllowlistTemplate", *each) for each in unit.WRONG_TEMPLATES]
    wrong += [(kind, *each) for kind, some in unit.WRONG_IN_ONE.items() for each in some]
    asked, unlike = 0, []
    for kind, spec, _ in wrong:
        item, schema = unit.as_object(kind, spec), unit.schema_of(scene.crds[kind])
        plain = [text for text in judge(schema, item, cel=False) if not text.endswith(UNKNOWN)]
        ruled = [text.split(": ", 1)[1] for text in judge(schema, item)] if scene.kept_rules and not plain else []
        if not plain and not ruled:
            continue
        asked += 1
        status, answer = scene.post(item)
        if status not in (400, 422) or not all(message in answer["message"] for message in ruled):
            unlike.append(f"{kind} {spec[:100]}: {status} {answer.get('message')}")
    need(not unlike, "\n".join(unlike))
    return f"{asked} objects of {len(wrong)}"


def leave(scene):
    """posternd's account may read the kinds and write their status, no more"""
    may = ["list postern.dev egresspolicies", "watch postern.dev clusteregresspolicies", "list postern.dev allowlisttemplates",
           "patch postern.dev egresspolicies/status", "list cilium.io ciliumnetworkpolicies", "create  events",
           "watch networking.k8s.aws clusternetworkpolicies", "list networking.k8s.io networkpolicies"]
    may_not = ["patch postern.dev egresspolicies", "delete postern.dev egresspolicies", "create postern.dev allowlisttemplates",
               "patch cilium.io ciliumnetworkpolicies", "list  secrets", "list networking.k8s.io ingresses"]
    for line in may + may_not:
        verb, group, what = line.split(" ")
        resource, _, part = what.partition("/")
        asked = {"verb": verb, "group": group, "resource": resource, "subresource": part, "namespace": "agent-sandboxes"}
        answer = scene.api.must("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews",
                                {"spec": {"user": US, "resourceAttributes": asked}})
        need(answer["status"]["allowed"] == (line in may), f"{line}: {answer['status']}")
    return f"{len(may)} yes, {len(may_not)} no"


def main():
    programs = programs_folder()
    missing = [what for what, there in (("root", os.geteuid() == 0), ("kube-apiserver (scripts/kubernetes.sh)", programs),
                                        ("etcd and kubectl (scripts/deps.sh e2e)", shutil.which("etcd") and shutil.which("kubectl")))
               if not there]
    if missing:
        print(f"not run: this lacks {', '.join(missing)}")
        return 1 if os.environ.get("CI") else 77
    cleanup.end_on_signals()
    undo, failed, cases = cleanup.Undo(), 0, (base, examples, taken, refused, leave)
    try:
        scene = Scene(programs, undo)
        failed += run_cases([(function.__doc__, function) for function in cases],
                            lambda: print("--- kube-apiserver\n" + scene.api.server.log_tail()), scene)
    finally:
        failed += len(undo.run())
    print(f"{len(cases) - failed} of {len(cases)} cases passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
