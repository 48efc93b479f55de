#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bad input: each is refused with one line that says where it is and what to do, and changes nothing."""
import os
import re
import sys

from harness import case, equal, main, true
from lab import ask

ZONE = "www.allowed.example. 60 A 93.184.216.34\n"
POLICY = "allow: [{names: [www.allowed.example]}]"

# Specs of a policy, with the field and words that the refusal must contain.
BAD_SPECS = [
    ("an unknown key", "allow: [{names: [a.example], port: [80]}]", "port"),
    ("an unknown key at the top", "alow: []", "alow"),
    ("a text where a list belongs", "allow: www.allowed.example", "allow"),
    ("a list where a text belongs", "allow: [{names: [[a.example]]}]", "names"),
    ("a port over 65535", "allow: [{names: [a.example], ports: [65536]}]", "ports"),
    ("port 0", "allow: [{names: [a.example], ports: [0]}]", "ports"),
    ("a port range backwards", "allow: [{names: [a.example], ports: [90-80]}]", "ports"),
    ("an unknown protocol", "allow: [{names: [a.example], ports: [80/sctp]}]", "ports"),
    ("a name with a space", 'allow: [{names: ["a b.example"]}]', "names"),
    ("a name with a scheme", 'allow: [{names: ["https://a.example/"]}]', "names"),
    ("a label over 63 bytes", f"allow: [{{names: [{'a' * 64}.example]}}]", "names"),
    ("a wildcard over a whole top-level domain", 'allow: [{names: ["*.com"]}]', "names"),
    ("a bare star", 'allow: [{names: ["*"]}]', "names"),
    ("a CIDR with host bits", "allow: [{cidrs: [10.1.2.3/8]}]", "10.0.0.0/8"),
    ("a prefix too long", "allow: [{cidrs: [10.0.0.0/33]}]", "cidrs"),
    ("no address at all", "allow: [{cidrs: [ten]}]", "cidrs"),
    ("a template that is not there", "allow: [{templates: [no-such-template]}]", "no-such-template"),
    ("a group that the template lacks", "allow: [{templates: [{name: llm-apis, groups: [nobody]}]}]", "nobody"),
    ("a rule that says nothing", "allow: [{ports: [80]}]", "allow"),
    ("a mode that is not enforced yet", "mode: audit", "mode"),
    ("YAML that ends early", "allow: [{names: [a.example]", ""),
    ("a tab as indentation", "allow:\n\t- names: [a.example]", ""),
]

# Lines of postern.yaml, with words that the refusal must contain.
BAD_CONFIGS = [
    ("an unknown key", "upstreams: [192.0.2.1]", "upstreams"),
    ("an unknown key below dns", "dns: {upstream: [192.0.2.1]}", "upstream"),
    ("a text where a list belongs", "dns: {upstreams: 192.0.2.1}", "upstreams"),
    ("a name where an address belongs", "dns: {upstreams: [resolver.example]}", "resolver.example"),
    ("an impossible port", 'dns: {upstreams: ["192.0.2.1:70000"]}', "70000"),
    ("a number out of range", "dns: {grant_s_min: 0}", "grant_s_min"),
    ("a text where a number belongs", "dns: {grant_s_min: soon}", "grant_s_min"),
    ("a relative path", "policies: policies", "policies"),
    ("an unknown log level", "log: {level: loud}", "level"),
    ("a list where a map belongs", "log: [info]", "log"),
    ("a folder that is not there", "policies: /nonexistent/policies", "/nonexistent/policies"),
]


def prepare(lab):
    gate = lab.gate({"agent": POLICY}).start()
    gate.attach(lab.sandbox, "agent")
    return gate


def refused(result, words, lines=1):
    """One line on stderr, an exit status that is not 0, and the words in it."""
    true(result.status not in (0, None), f"exit status {result.status}: {result}")
    said = result.err.strip().splitlines()
    equal(len(said), lines, f"lines on stderr, {said}")
    for word in words:
        true(word in said[-1], f"{word!r} is not in {said[-1]!r}")
    true(not re.search(r"terminate called|what\(\)|Assertion|yaml-cpp", result.err), result.err)
    return said[-1]


@case(f"{len(BAD_SPECS)} bad policies: reload names file, line and field; the generation and the sandbox stay as they were")
def policies(lab, gate):
    generation = gate.status()["generation"]
    for what, spec, word in BAD_SPECS:
        path = gate.write_policy("agent", spec)
        try:
            line = refused(gate.reload(check=False), [word, path + ":"], lines=2)
        except AssertionError as error:
            raise AssertionError(f"{what}: {error}") from None
        true(re.search(re.escape(path) + r":\d+", line), f"{what}: no line number in {line!r}")
        true(gate.cli("policy", "check", path, check=False).status not in (0, None), f"{what}: policy check takes it")
    gate.write_policy("agent", POLICY)
    gate.reload()
    equal(gate.status()["generation"], generation, "generation: nothing was changed, back and forth")
    equal(ask(lab.sandbox.ns, "8.8.8.8", "www.allowed.example").addresses, ["93.184.216.34"], "the sandbox")


@case("two files with policies of one name: refused, both places named")
def twice(_lab, gate):
    path = os.path.join(gate.policy_dir, "second.yaml")
    with open(os.path.join(gate.policy_dir, "agent.yaml"), encoding="utf-8") as first, open(path, "w", encoding="utf-8") as second:
        second.write(first.read())
    refused(gate.reload(check=False), ["agent.yaml", "second.yaml"], lines=2)
    os.unlink(path)
    gate.reload()


@case(f"{len(BAD_CONFIGS)} bad configurations: --check-config and a start both refuse, in one line")
def configs(lab, gate):
    for what, text, word in BAD_CONFIGS:
        path = os.path.join(lab.folder, "bad.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"{text}\nrun_dir: {lab.folder}/bad\npin_dir: {lab.pin_dir}/bad\n")
        for more in (["--check-config"], []):
            result = lab.node.run([gate.program("posternd"), "--config", path, *more], check=False, timeout=10)
            try:
                refused(result, [word])
            except AssertionError as error:
                raise AssertionError(f"{what} ({more}): {error}") from None
            true(not os.path.exists(lab.pin_dir + "/bad"), f"{what} ({more}): pins were left")


@case("a configuration file that is not there, a good one")
def config_file(lab, gate):
    posternd = gate.program("posternd")
    refused(lab.node.run([posternd, "--config", "/nonexistent/postern.yaml"], check=False), ["/nonexistent/postern.yaml"])
    good = lab.node.run([posternd, "--config", gate.config_path, "--check-config"], check=False)
    equal(good.status, 0, f"a good configuration: {good}")


@case("attach: interface, policy, address, MAC and suffix that cannot be")
def attach(lab, gate):
    for words, said in ((["--interface", "nosuch0", "--policy", "agent"], "nosuch0"),
                        (["--interface", lab.sandboxes[1].host_if, "--policy", "nobody"], "nobody"),
                        (["--interface", "lo", "--policy", "agent"], "lo"),
                        (["--interface", lab.sandboxes[1].host_if, "--policy", "agent", "--address", "10.77.1.300"], "10.77.1.300"),
                        (["--interface", lab.sandboxes[1].host_if, "--policy", "agent", "--mac", "02:00"], "02:00"),
                        (["--interface", lab.sandboxes[1].host_if, "--policy", "agent", "--search", "a..b"], "a..b")):
        refused(gate.cli("sandbox", "attach", *words, check=False), [said])
    refused(gate.cli("sandbox", "detach", "nosuch0", check=False), ["nosuch0"])
    refused(gate.cli("explain", "nosuch0", "a.example", check=False), ["nosuch0"])
    equal(gate.status()["sandboxes"], 1, "sandboxes")


@case("the command line: nobody but root commands; an unknown word and a missing option are explained")
def command_line(lab, gate):
    control = ["--control", gate.control, "status"]
    nobody = ["setpriv", "--reuid", "65534", "--clear-groups", gate.program("postern"), *control]
    if lab.node.run([*nobody[:-len(control)], "--version"], check=False).status == 0:  # not in a folder of root's own
        refused(lab.node.run(nobody, check=False), ["root"])
    for words in (["frobnicate"], ["sandbox", "attach"], ["status", "-o", "xml"]):
        result = gate.cli(*words, check=False)
        true(result.status not in (0, None), f"{words}: {result}")
        true("--help" in result.err + result.out, f"{words}: {result}")


@case("a missing capability: named, before anything is changed")
def capabilities(lab, gate):
    posternd = [gate.program("posternd"), "--config", os.path.join(lab.folder, "other.yaml")]
    with open(gate.config_path, encoding="utf-8") as base, open(posternd[2], "w", encoding="utf-8") as other:
        other.write(base.read().replace(gate.run_dir, lab.folder + "/other").replace(lab.pin_dir, lab.pin_dir + "/other"))
    os.makedirs(lab.folder + "/other", exist_ok=True)
    for capability in ("bpf", "net_admin", "perfmon"):
        less = ["setpriv", "--bounding-set", f"-{capability}", *posternd]
        result = lab.node.run(less, check=False, timeout=5)
        try:
            refused(result, [f"CAP_{capability.upper()}"])
        except AssertionError as error:
            raise AssertionError(f"without {capability}: {error}") from None
    true(not os.path.exists(lab.pin_dir + "/other"), "pins of the other one were left")


if __name__ == "__main__":
    sys.exit(main(prepare, zone=ZONE, sandboxes=2))
