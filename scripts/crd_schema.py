# SPDX-License-Identifier: Apache-2.0
"""The three kinds of postern.dev/v1alpha1 as data: OpenAPI v3 schemas as a CustomResourceDefinition has them.

scripts/crds.py writes the CRDs and docs/reference.md from it. The C++ readers (policies/native_reader.cpp,
policies/template_reader.cpp) decide; the schema says at `kubectl apply` what of that it can, and refuses nothing they take
but absurd lengths. Keys that begin with "_" are for the reference alone: _default in words, _rules that hold without being CEL.
"""
from crd_fields import (CIDR, DATE, LABEL, OBJECT_NAME, TEMPLATE_NAME, cidrs, either, fields, label_selector, names, number, one_of_them,
                        ports, risk, several, template_reference, text, word)

GROUP, VERSION = "postern.dev", "v1alpha1"


def enforced(value):
    return [{"rule": f"self == '{value}'", "message": f"this is not enforced by this version: write {value}, or remove the field"}]


def allow_rule():
    rule = fields("A rule opens what its templates, names and cidrs name.", {
        "templates": template_reference("Lists of names that come with Postern or are AllowlistTemplates. They bring their own ports.", 256,
                                        "One label of a name, or `\"*\"` for any one label."),
        "names": names("Names that resolve, and whose addresses are open while an answer lives. At most four rules may match one name.",
                       2000),
        "cidrs": cidrs("Addresses that are open without any lookup."),
        "except": cidrs("Holes in the cidrs of this rule. Another rule may open what lies in one."),
        "ports": ports("For the names and cidrs of this rule.", "443/tcp"),
        "risk": risk("Of the names of this rule: `user-content` opens names right on a public suffix knowingly (`*.github.io`), where "
                     "strangers register them. Without it they are refused.")},
        anyOf=one_of_them("templates", "names", "cidrs"), _rules=["templates, names or cidrs: one of them at least"])
    rule["x-kubernetes-validations"] = [
        {"rule": "!has(self.except) || has(self.cidrs)",
         "message": "except is a hole in cidrs, and there are none: give cidrs, or remove it"},
        {"rule": "!has(self.ports) || has(self.names) || has(self.cidrs)",
         "message": "templates bring their own ports: remove ports, or list the names here"},
        {"rule": "!has(self.risk) || has(self.names)", "message": "risk is about names, and there are none: remove it"}]
    return rule


def inbound_rule():
    rule = fields("Peers that may connect.", {
        "from": word("`pods` of the cluster, or peers on the `link` of the sandbox's own interface; on every port.", "pods", "link"),
        "cidrs": cidrs("Addresses that may connect."),
        "ports": ports("Ports of the sandbox, for cidrs.", "all")})
    rule["x-kubernetes-validations"] = [
        {"rule": "has(self.from) != has(self.cidrs)", "message": "give either from: pods, from: link, or cidrs"},
        {"rule": "!has(self.ports) || has(self.cidrs)", "message": "ports go with cidrs; from opens every port: remove them"}]
    return rule


def dns():
    return fields("Names that resolve, and how a denial looks.", {
        "allow": names("Names that resolve while their addresses stay closed.", 2000),
        "mode": word("Where a Cilium policy selects the same pod: `as-written` has its DNS rule `*` open every lookup, `narrowed` those "
                     "lookups alone that its toFQDNs name.", "narrowed", "as-written", _default="narrowed"),
        "types": several("Other record types than A, AAAA and CNAME. Belongs to the format and is not enforced by this version.",
                         text("A record type.", maxLength=10), 100, _default="none"),
        "private": cidrs("Private ranges that answers may point into. Other private addresses are taken out of answers.", 1000,
                         _default="none"),
        "grace_s": number("Seconds that addresses stay open after an answer's time to live.", 0, 86400, _default="120"),
        "denial": word("What a lookup that is not allowed gets. This version enforces `nodata`: no error and no addresses.", "nodata",
                       "nxdomain", "refused", _default="nodata", **{"x-kubernetes-validations": enforced("nodata")}),
        "text": text("One line of at most 120 bytes that a denied lookup carries (EDE), for the person who debugs it.", maxLength=120,
                     pattern=r"^[^\x00-\x1f\x7f]*$", _default="none")},
        **{"x-kubernetes-validations": [
            {"rule": "!has(self.types)",
             "message": "types is not enforced by this version, which passes A, AAAA and CNAME: remove the field"}]})


def spec_of_policy():
    """What EgressPolicy and ClusterEgressPolicy both have."""
    return {
        "mode": word("`enforce`. `audit` belongs to the format and is not enforced by this version.", "enforce", "audit", default="enforce",
                     **{"x-kubernetes-validations": enforced("enforce")}),
        "allow": several("What is open. Rules add up, their order does not matter.", allow_rule(), 256, _default="nothing is open"),
        "deny": several("Addresses that stay closed whatever allows them in this tier or below, and whatever name resolves to them.",
                        fields("A rule closes its cidrs. A name is denied by not allowing it.", {
                            "cidrs": cidrs("Addresses that are closed."),
                            "ports": ports("Ports that are closed.", "all")}, required=["cidrs"]), 256, _default="none"),
        "inbound": several("Who may connect to the sandbox. An empty list: nobody but the node.", inbound_rule(), 256,
                           _default="the pods of the cluster, and peers on its own link"),
        "dns": dns(),
        "onDeny": word("What becomes of a packet that nothing allows. This version enforces `drop`.", "drop", "reject", _default="drop",
                       **{"x-kubernetes-validations": enforced("drop")})}


def status():
    condition = fields("One thing that is so or not.", {
        "type": text("What it is about. `Accepted`: the object is right and in force.", maxLength=316),
        "status": word("Whether it is so.", "True", "False", "Unknown"),
        "reason": text("Why, in one word for programs.", maxLength=1024),
        "message": text("Why, for people: each error with its field and what to write instead.", maxLength=32768),
        "observedGeneration": {"description": "The `metadata.generation` that this speaks of.", "type": "integer", "format": "int64",
                               "minimum": 0},
        "lastTransitionTime": text("Since when it is so.", format="date-time")},
        required=["type", "status"])
    return fields("Written by Postern.", {
        "conditions": several("What Postern says of the object.", condition, 16,
                              **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]})})


def root(description, spec):
    name = text("Lower-case letters, digits and hyphens; no dots.", maxLength=63, pattern=OBJECT_NAME)
    return fields(description, {
        "apiVersion": text(f"`{GROUP}/{VERSION}`."),
        "kind": text("The kind's name."),
        "metadata": {"type": "object", "properties": {"name": name}},
        "spec": spec,
        "status": status()}, required=["spec"])


def egress_policy():
    properties = {"selector": label_selector("The pods of this namespace that the policy is for; `{}` is all of them. Policies that select "
                                             "one pod add up: what any allows is allowed, what any denies is denied.", "selects no pod")}
    return root("What the pods that it selects may reach. All else is denied; an empty policy denies everything.",
                fields("What is open and what is closed; `{}` denies everything.", {**properties, **spec_of_policy()}))


def cluster_egress_policy():
    properties = {
        "tier": word("Admin is asked before Application, and that before Baseline; EgressPolicy is of Application. Where the rules of one "
                     "tier speak of a packet, no later one is asked. Inside a tier deny beats allow. A deny of any tier holds for the "
                     "addresses of names as well.", "Admin", "Application", "Baseline", default="Application"),
        "priority": number("Lower ones come first where one answer is wanted of several policies of a tier: dns.text. Their rules add up, "
                           "whatever their priority.", 0, 1000, default=500),
        "namespaceSelector": label_selector("The namespaces whose pods the policy is for, by the labels of the namespace.",
                                            "all namespaces, if selector is there"),
        "selector": label_selector("The pods that the policy is for.", "all pods, if namespaceSelector is there; else it selects no pod")}
    return root("What pods of any namespace may reach, before or behind what the namespaces' own policies say.",
                fields("What is open and what is closed; `{}` selects no pod.", {**properties, **spec_of_policy()}))


def entry_fields(of):
    """What an entry of a template and its group both may say."""
    return {"source": text(f"An https link to who says that {of} needed.", maxLength=500, pattern=r"^https://[!-~]+$"),
            "checked": text("The day somebody last compared the two, `2026-11-27`.", pattern=f"^{DATE}$"),
            "risk": risk("`user-content`: strangers can register names or publish content there."),
            "ports": ports("As in a policy.", "443/tcp")}


def template_entry(key, pattern, longest, what):
    own = {"purpose": text("What it is for.", maxLength=1024, _default="the group's"), **entry_fields("it is")}
    for field in ("source", "checked", "risk", "ports"):
        own[field]["_default"] = "the group's"
    key_alone = text(what, maxLength=longest, pattern=pattern)
    return either(f"{what} The word alone, or a map with fields of its own.", {key: key_alone, **own}, [key], maxLength=longest,
                  pattern=pattern)


def template_group():
    group = fields("Entries that are taken together.", {
        "name": text("What a reference chooses by; unique in the template. A group that is inherited too has the entries of both.",
                     maxLength=253),
        "purpose": text("One line on what this group is for.", maxLength=1024),
        **entry_fields("its entries are"),
        "names": several("As in a policy.", template_entry("name", TEMPLATE_NAME, 512, "A name or pattern, which may hold parameters: "
                                                           "`api.{stage}.example.com`."), 10000),
        "cidrs": several("As in a policy.", template_entry("cidr", CIDR, 49, "`10.0.0.0/8`, `2001:db8::/32`, or one address."), 10000)},
        required=["name", "purpose"], anyOf=one_of_them("names", "cidrs"), _rules=["names or cidrs: one of them at least"])
    return group


def allowlist_template():
    parameter = fields("A word that names may hold, as `{region}`.", {
        "name": text("What stands between the braces.", maxLength=253),
        "purpose": text("What it is.", maxLength=1024),
        "default": {"description": "The value where a reference gives none: one label of a name, or `\"*\"` for any one label.",
                    "x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}], "minimum": 0,
                    "pattern": rf"^(\*|{LABEL})$"}},
        required=["name", "purpose", "default"])
    listed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    spec = fields("The entries and where they come from.", {
        "version": text("The date of the last change, `2026-11-27`, or `2026-11-27.2` for the second of a day.",
                        pattern=rf"^{DATE}(\.[0-9]{{1,3}})?$"),
        "purpose": text("One line on what the template is for.", maxLength=1024),
        "parameters": several("Words that a reference gives values for.", parameter, 100, _default="none", **listed),
        "extends": template_reference("Templates whose groups and entries this one has too.", 32,
                                      "As in a policy, or a parameter of this template, `{stage}`. One of the same name is passed on "
                                      "unwritten."),
        "except": several("Taken out of what extends brings, with all they cover. One that takes nothing out is an error.",
                          text("A name or pattern.", maxLength=512, pattern=r"^([-\w*.]|\{[^{}]+\})+$"), 10000, _default="nothing"),
        "groups": several("The template's own entries.", template_group(), 256, **listed)},
        required=["version", "purpose"],
        allOf=[{"anyOf": one_of_them("groups", "extends")}, {"anyOf": [{"not": {"required": ["except"]}}, {"required": ["extends"]}]}],
        _rules=["groups or extends: one of them at least", "except only with extends"])
    return root("A list of names that belong together, with a purpose, in groups, and with parameters. Policies take it by its name.", spec)


def column(name, path, kind="string", **more):
    return {"name": name, "type": kind, "jsonPath": path, **more}


def condition(field):
    return f'.status.conditions[?(@.type=="Accepted")].{field}'


def definition(kind, plural, short, scope, schema, *columns):
    """A CustomResourceDefinition."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}", "labels": {"app.kubernetes.io/name": "postern"}},
        "spec": {
            "group": GROUP, "scope": scope,
            "names": {"kind": kind, "listKind": kind + "List", "plural": plural, "singular": kind.lower(), "shortNames": [short],
                      "categories": ["postern"]},
            "versions": [{
                "name": VERSION, "served": True, "storage": True, "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    column("Accepted", condition("status")), column("Reason", condition("reason")), *columns,
                    column("Age", ".metadata.creationTimestamp", "date"), column("Message", condition("message"), priority=1)],
                "schema": {"openAPIV3Schema": schema}}]}}


MODE = column("Mode", ".spec.mode")
DEFINITIONS = [
    definition("EgressPolicy", "egresspolicies", "egp", "Namespaced", egress_policy(), MODE),
    definition("ClusterEgressPolicy", "clusteregresspolicies", "cegp", "Cluster", cluster_egress_policy(), column("Tier", ".spec.tier"),
               column("Priority", ".spec.priority", "integer"), MODE),
    definition("AllowlistTemplate", "allowlisttemplates", "alt", "Cluster", allowlist_template(), column("Version", ".spec.version"))]
