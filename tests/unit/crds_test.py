#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The CRDs are what scripts/crds.py writes, take all that this repository ships, and refuse what is wrong with a word on it.

Usage: crds_test.py [POSTERN]. With the program, `postern policy check` is asked too: it must take what the schema takes
here, and refuse what the schema refuses. Exit status 1 with a line for each thing that is wrong.
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

from findings import ROOT, check, read, status_of
from structural import documents, faults, judge

KINDS = {"EgressPolicy": ("egresspolicies", "Namespaced"), "ClusterEgressPolicy": ("clusteregresspolicies", "Cluster"),
         "AllowlistTemplate": ("allowlisttemplates", "Cluster")}

MANY = ".spec.allow[0].names: 2001 items"  # the API server's limit alone

# A spec, as a policy or a template has it, and what of it must be refused: the field and, where it says more than a type, a word.
WRONG_POLICIES = [
    ("{denies: []}", ".spec.denies: unknown field"),
    ("{allow: [{names: [a.example.com], exept: []}]}", ".spec.allow[0].exept: unknown field"),
    ("{allow: {names: [a.example.com]}}", ".spec.allow: not of type array"),
    ("{allow: [{}]}", ".spec.allow[0]: none of anyOf"),
    ("{allow: [{ports: [443], templates: [os-packages]}]}", ".spec.allow[0]: templates bring their own ports"),
    ("{allow: [{names: [a.example.com], except: [10.0.0.0/8]}]}", ".spec.allow[0]: except is a hole in cidrs"),
    ("{allow: [{cidrs: [10.0.0.0/8], risk: user-content}]}", ".spec.allow[0]: risk is about names"),
    ("{allow: [{names: [a.example.com], risk: high}]}", ".spec.allow[0].risk: not one of"),
    ("{allow: [{names: a.example.com}]}", ".spec.allow[0].names: not of type array"),
    ("{allow: [{names: ['https://a.example.com']}]}", ".spec.allow[0].names[0]: this is a URL"),
    ("{allow: [{names: ['a.example.com/']}]}", ".spec.allow[0].names[0]: this is a URL"),
    ("{allow: [{names: ['a.example.com/path']}]}", ".spec.allow[0].names[0]: does not match"),
    ("{allow: [{names: ['a.example.com:443']}]}", ".spec.allow[0].names[0]: does not match"),
    ("{allow: [{names: ['*']}]}", ".spec.allow[0].names[0]: \"*\" is a whole label"),
    ("{allow: [{names: ['*a.example.com']}]}", ".spec.allow[0].names[0]: \"*\" is a whole label"),
    ("{allow: [{names: ['pre*.example.com']}]}", ".spec.allow[0].names[0]: does not match"),
    ("{allow: [{names: ['*.com']}]}", ".spec.allow[0].names[0]: does not match"),
    ("{allow: [{names: ['api.*.com']}]}", ".spec.allow[0].names[0]: does not match"),
    ("{allow: [{names: ['a..example.com']}]}", ".spec.allow[0].names[0]: does not match"),
    ("{allow: [{names: ['a b.example.com']}]}", ".spec.allow[0].names[0]: does not match"),
    ("{allow: [{names: ['b\u00fccher.example']}]}", ".spec.allow[0].names[0]: does not match"),
    ("{allow: [{names: ['10.1.2.3']}]}", ".spec.allow[0].names[0]: does not match"),
    ("{allow: [{names: ['2001:db8::1']}]}", ".spec.allow[0].names[0]: does not match"),
    ("{allow: [{names: [" + "a" * 64 + ".example.com]}]}", ".spec.allow[0].names[0]: does not match"),
    ("{allow: [{names: [" + "a." * 130 + "example.com]}]}", ".spec.allow[0].names[0]: too long"),
    ("{allow: [{names: [" + "a.example.com," * 2001 + "]}]}", MANY),
    ("{allow: [{names: [a.example.com], ports: []}]}", ".spec.allow[0].ports: 0 items"),
    ("{allow: [{names: [a.example.com], ports: [70000]}]}", ".spec.allow[0].ports[0]: not from 1 to 65535"),
    ("{allow: [{names: [a.example.com], ports: [0]}]}", ".spec.allow[0].ports[0]: not from 1 to 65535"),
    ("{allow: [{names: [a.example.com], ports: [443/sctp]}]}", ".spec.allow[0].ports[0]: does not match"),
    ("{allow: [{names: [a.example.com], ports: [https]}]}", ".spec.allow[0].ports[0]: does not match"),
    ("{allow: [{names: [a.example.com], ports: [{port: 443}]}]}", ".spec.allow[0].ports[0]: not of type"),
    ("{allow: [{cidrs: [10.0.0.0/33x]}]}", ".spec.allow[0].cidrs[0]: does not match"),
    ("{allow: [{cidrs: [10.0.0.256]}]}", ".spec.allow[0].cidrs[0]: does not match"),
    ("{allow: [{cidrs: [a.example.com]}]}", ".spec.allow[0].cidrs[0]: does not match"),
    ("{allow: [{templates: [Package_Registries]}]}", ".spec.allow[0].templates[0]: does not match"),
    ("{allow: [{templates: [{groups: [python]}]}]}", ".spec.allow[0].templates[0].name: required"),
    ("{allow: [{templates: [{name: os-packages, groups: []}]}]}", ".spec.allow[0].templates[0].groups: 0 items"),
    ("{allow: [{templates: [{name: os-packages, params: {region: a.b}}]}]}", ".spec.allow[0].templates[0].params.region: does not match"),
    ("{allow: [{templates: [{name: os-packages, params: [region]}]}]}", ".spec.allow[0].templates[0].params: not of type object"),
    ("{deny: [{ports: [25]}]}", ".spec.deny[0].cidrs: required"),
    ("{deny: [{names: [a.example.com], cidrs: []}]}", ".spec.deny[0].names: unknown field"),
    ("{inbound: [{}]}", ".spec.inbound[0]: give either from: pods"),
    ("{inbound: [{from: pods, cidrs: [10.0.0.0/8]}]}", ".spec.inbound[0]: give either from: pods"),
    ("{inbound: [{from: pods, ports: [80]}]}", ".spec.inbound[0]: ports go with cidrs"),
    ("{inbound: [{from: world}]}", ".spec.inbound[0].from: not one of"),
    ("{mode: audit}", ".spec.mode: this is not enforced by this version: write enforce"),
    ("{mode: off}", ".spec.mode: not"),
    ("{onDeny: reject}", ".spec.onDeny: this is not enforced by this version: write drop"),
    ("{dns: {denial: nxdomain}}", ".spec.dns.denial: this is not enforced by this version: write nodata"),
    ("{dns: {types: [SRV]}}", ".spec.dns: types is not enforced by this version"),
    ("{dns: {grace_s: 86401}}", ".spec.dns.grace_s: not from 0 to 86400"),
    ("{dns: {grace_s: soon}}", ".spec.dns.grace_s: not of type integer"),
    ("{dns: {allow: ['*.com']}}", ".spec.dns.allow[0]: does not match"),
    ("{dns: {text: \"two\\nlines\"}}", ".spec.dns.text: does not match"),
    ("{selector: {matchLabel: {a: b}}}", ".spec.selector.matchLabel: unknown field"),
    ("{selector: {matchExpressions: [{key: a, operator: In}]}}", ".spec.selector.matchExpressions[0]: In and NotIn need values"),
    ("{selector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}", ".spec.selector.matchExpressions[0]: In and NotIn need"),
    ("{selector: {matchExpressions: [{key: a, operator: Equals}]}}", ".spec.selector.matchExpressions[0].operator: not one of"),
]
WRONG_IN_ONE = {
    "EgressPolicy": [("{tier: Admin}", ".spec.tier: unknown field"), ("{namespaceSelector: {}}", ".spec.namespaceSelector: unknown field")],
    "ClusterEgressPolicy": [("{tier: Top}", ".spec.tier: not one of"), ("{priority: 1001}", ".spec.priority: not from 0 to 1000")]}
ENTRY = "version: 2026-11-28, purpose: x, groups: [{name: g, purpose: x, "
WRONG_TEMPLATES = [
    ("{version: 2026-11-28, purpose: x}", ".spec: none of anyOf"),
    ("{purpose: x, extends: [os-packages]}", ".spec.version: required"),
    ("{version: 2026-11-28, extends: [os-packages]}", ".spec.purpose: required"),
    ("{version: '1.0', purpose: x, extends: [os-packages]}", ".spec.version: does not match"),
    ("{version: 2026-13-01, purpose: x, extends: [os-packages]}", ".spec.version: does not match"),
    ("{version: 2026-11-28.2222, purpose: x, extends: [os-packages]}", ".spec.version: does not match"),
    ("{" + ENTRY + "names: [a.example.com]}], except: [b.example.com]}", ".spec: none of anyOf"),
    ("{" + ENTRY + "}]}", ".spec.groups[0]: none of anyOf"),
    ("{" + ENTRY + "names: [a.example.com]}, {name: g, purpose: x, cidrs: [10.0.0.0/8]}]}", ".spec.groups: two of one name"),
    ("{" + ENTRY + "names: ['https://a.example.com']}]}", ".spec.groups[0].names[0]: does not match"),
    ("{" + ENTRY + "names: [{purpose: x}]}]}", ".spec.groups[0].names[0].name: required"),
    ("{" + ENTRY + "names: [{name: 'a.example.com:443'}]}]}", ".spec.groups[0].names[0].name: does not match"),
    ("{" + ENTRY + "names: [{name: a.example.com, source: 'http://a.example.com'}]}]}", ".spec.groups[0].names[0].source: does not match"),
    ("{" + ENTRY + "names: [{name: a.example.com, checked: yesterday}]}]}", ".spec.groups[0].names[0].checked: does not match"),
    ("{" + ENTRY + "cidrs: [a.example.com]}]}", ".spec.groups[0].cidrs[0]: does not match"),
    ("{" + ENTRY + "names: [a.example.com]}], parameters: [{name: a, purpose: x}]}", ".spec.parameters[0].default: required"),
    ("{" + ENTRY + "names: [a.example.com]}], parameters: [{name: a, purpose: x, default: a.b}]}", ".spec.parameters[0].default: does not"),
    ("{version: 2026-11-28, purpose: x, extends: [" + "os-packages," * 33 + "]}", ".spec.extends: 33 items"),
]
# Odd, and right for the readers: the schema is not narrower than they are.
RIGHT_POLICIES = [
    "{}", "{allow: []}", "{inbound: []}", "{selector: {}}", "{allow: [{names: []}]}",
    "{allow: [{names: [localhost, A.Example.COM, a.example.com., _srv.example.com, xn--bcher-kva.example, 1.2.3.4a]}]}",
    "{allow: [{names: ['*{1}.example.com', '*.*.example.com', '*.a_b.example.com.'], risk: user-content}]}",
    "{allow: [{names: ['*.s3.*.amazonaws.com', 'sts.*.amazonaws.com'], ports: [443, '443', 8000-8010, 8000-8010/udp, echo, '*', 443/tcp]}]}",
    "{allow: [{cidrs: [10.0.0.0/8, 10.1.2.3, '::/0', '2001:DB8::/32', '::ffff:10.1.2.3', 0.0.0.0/0], except: [10.9.0.0/16]}]}",
    "{allow: [{templates: [os-packages, {name: aws-services, groups: [s3], params: {region: '*', account: 123456789012}}]}]}",
    "{mode: enforce, onDeny: drop, dns: {denial: nodata, mode: as-written, grace_s: 0, text: x}}",
    "{selector: {matchExpressions: [{key: a, operator: Exists, values: []}]}}",
]


def definitions():
    """Of each kind, the CRD."""
    found = {}
    for path in sorted(glob.glob(os.path.join(ROOT, "manifests/base/crds/*.yaml"))):
        name = "crds/" + os.path.basename(path)
        for crd in documents(read("manifests/base/" + name)):
            found[crd["spec"]["names"]["kind"]] = crd
        check(f"- {name}\n" in read("manifests/base/kustomization.yaml"), f"manifests/base/kustomization.yaml lacks {name}")
    return found


def schema_of(crd):
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def check_definitions(crds):
    result = subprocess.run([sys.executable, os.path.join(ROOT, "scripts/crds.py"), "--check"], capture_output=True, text=True)
    check(result.returncode == 0, f"scripts/crds.py --check: {result.stdout}{result.stderr}")
    check({kind: (crd["spec"]["names"]["plural"], crd["spec"]["scope"]) for kind, crd in crds.items()} == KINDS, "other kinds than ours")
    for kind, crd in crds.items():
        spec, plural = crd["spec"], crd["spec"]["names"]["plural"]
        check(crd["metadata"]["name"] == f"{plural}.{spec['group']}", f"{kind}: its CRD has another name than the API server wants")
        check(spec["versions"][0]["subresources"] == {"status": {}}, f"{kind}: its status is no subresource")
        check(len(read(f"manifests/base/crds/{plural}.yaml")) < 200_000, f"{kind}: too large for `kubectl apply`")
        for fault in faults(schema_of(crd)):
            check(False, f"{kind}: {fault}")


def take(crds, where, item):
    """What is no object of the API server (an Inventory, a PolicyTest) has no schema."""
    if item["kind"] in crds:
        for text in judge(schema_of(crds[item["kind"]]), item):
            check(False, f"{where}: {text}")


def check_shipped(crds):
    kinds = set()
    for path in [*glob.glob(os.path.join(ROOT, "examples/objects/*.yaml")), *glob.glob(os.path.join(ROOT, "examples/*.yaml")),
                 *glob.glob(os.path.join(ROOT, "examples/cluster/*.yaml")),
                 *glob.glob(os.path.join(ROOT, "allowlists/*.yaml"))]:
        for item in documents(read(path)):
            take(crds, os.path.relpath(path, ROOT), item)
            if "/objects/" in path:
                kinds.add(item["kind"])
    check(kinds == set(KINDS), f"examples/objects has {sorted(kinds)}")
    for page in ("docs/policies.md", "docs/allowlists.md", "docs/kubernetes.md", "README.md"):
        for block in re.findall(r"^```yaml\n(.*?)^```", read(page), re.M | re.S):
            found = documents(block) if "apiVersion: postern.dev" in block else []
            for item in found:
                take(crds, page, item)
    whole = next(item for item in documents(re.search(r"## All of it\n+```yaml\n(.*?)```", read("docs/policies.md"), re.S)[1]))
    check(len(whole["spec"]) >= 7, "docs/policies.md: \"All of it\" is read no more")


def as_object(kind, spec):
    return {"apiVersion": "postern.dev/v1alpha1", "kind": kind, "metadata": {"name": "test"}, "spec": documents("x: " + spec)[0]["x"]}


def refuse(crds, kind, spec, expected):
    found = list(judge(schema_of(crds[kind]), as_object(kind, spec)))
    check(any(text.startswith(expected) for text in found), f"{kind} {spec[:100]}: {found} instead of {expected}")


def check_judgement(crds):
    for kind in ("EgressPolicy", "ClusterEgressPolicy"):
        for spec, expected in WRONG_POLICIES + WRONG_IN_ONE[kind]:
            refuse(crds, kind, spec, expected)
        for spec in RIGHT_POLICIES:
            take(crds, spec, as_object(kind, spec))
    for spec, expected in WRONG_TEMPLATES:
        refuse(crds, "AllowlistTemplate", spec, expected)
    for name in ("Agent", "a.b", "-a", "a" * 64):
        item = {**as_object("EgressPolicy", "{}"), "metadata": {"name": name}}
        check(any(judge(schema_of(crds["EgressPolicy"]), item)), f"an object may be named {name}")
    status = {"conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted", "message": "in force", "observedGeneration": 1,
                              "lastTransitionTime": "2026-11-28T00:00:00Z"}]}
    take(crds, "a status", {**as_object("EgressPolicy", "{}"), "status": status})


def check_readers(program):
    """The schema is not narrower than the readers, and they need no API server to refuse what it refuses."""
    asked = [("EgressPolicy", *each) for each in [*WRONG_POLICIES, *((right, None) for right in RIGHT_POLICIES)]]
    asked += [(kind, *each) for kind, some in WRONG_IN_ONE.items() for each in some]
    asked += [("AllowlistTemplate", *each) for each in WRONG_TEMPLATES]
    for kind, spec, expected in asked:
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump(as_object(kind, spec), file, ensure_ascii=False)
            file.flush()
            result = subprocess.run([program, "policy", "check", file.name], capture_output=True, text=True)
        wanted = 0 if expected in (None, MANY) else 1
        check(result.returncode == wanted, f"{kind} {spec[:100]}: `policy check` exits with {result.returncode}: {result.stderr[:200]}")


def main():
    crds = definitions()
    check_definitions(crds)
    if set(crds) == set(KINDS):
        check_shipped(crds)
        check_judgement(crds)
        if len(sys.argv) > 1:
            check_readers(sys.argv[1])
    return status_of("crds")


if __name__ == "__main__":
    sys.exit(main())
