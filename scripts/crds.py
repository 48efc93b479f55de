#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes manifests/base/crds/*.yaml and docs/reference.md from scripts/crd_schema.py. With --check it writes nothing: exit status
1, and a line for each file that is not what it would write."""
import argparse
import os
import sys

import yaml

from crd_schema import DEFINITIONS, GROUP, VERSION

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HEAD = "# SPDX-License-Identifier: Apache-2.0\n#\n# Written by scripts/crds.py out of scripts/crd_schema.py: edit that.\n"
PAGE = f"""# Reference: every field

<!-- Written by scripts/crds.py out of scripts/crd_schema.py: edit that. -->

The three kinds of `{GROUP}/{VERSION}`, the same in a file and in the API server. [policies.md](policies.md) and
[allowlists.md](allowlists.md) explain them with examples.

- `[]` behind a field is each item of a list, `{{}}` each value of a map. A field without a default may be left out unless it is
  **required** where the one above it is written.
- The API server refuses what breaks a type, a limit or a rule of these tables when it is applied; the rules that have CEL since
  Kubernetes 1.25. Limits of length, of items or characters, are the API server's. All else Postern refuses too, in files as
  well and whatever the API server's version, and more that a schema cannot say.
- A field of `spec` that is not here is an error, and Postern is who says so: the object is refused with the condition `Accepted`.
  The API server keeps such a field, where it would drop it by default: a misspelt `deny` must not vanish and leave a policy that
  opens more than it was written to. `postern policy check` finds it before.
- Words that YAML takes for a number or a truth value (`"123456789012"`, `"yes"`) are written in quotes, but for ports and
  for values of parameters.
"""


def pruned(schema):
    """Without what is for the reference alone."""
    if isinstance(schema, dict):
        return {key: pruned(value) for key, value in schema.items() if not key.startswith("_")}
    return [pruned(item) for item in schema] if isinstance(schema, list) else schema


def unpruned(schema):
    """With what it does not know kept, for Postern to refuse: see the reference."""
    if isinstance(schema, dict):
        below = {key: unpruned(value) for key, value in schema.items()}
        return {**below, "x-kubernetes-preserve-unknown-fields": True} if "properties" in schema and schema.get("type") == "object" else below
    return [unpruned(item) for item in schema] if isinstance(schema, list) else schema


def manifest(crd):
    crd = pruned(crd)
    fields = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    fields["spec"] = unpruned(fields["spec"])
    return HEAD + yaml.safe_dump(crd, sort_keys=False, width=130, allow_unicode=True, default_flow_style=False)


# ---- The reference ----

def plain_type(schema):
    if schema.get("type") == "array":
        return "list"
    if "x-kubernetes-int-or-string" in schema:
        return "text or number"
    if "x-kubernetes-preserve-unknown-fields" in schema:
        return "text or map"
    return {"object": "map", "integer": "whole number", "string": "text"}[schema["type"]] if "enum" not in schema else "one of"


def default_of(schema):
    if "_default" in schema:
        return schema["_default"]
    return f"`{schema['default']}`" if "default" in schema else ""


def limits_of(schema):
    words = []
    if "enum" in schema:
        words.append("One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + ".")
    if "minimum" in schema and schema.get("type") == "integer":
        words.append(f"{schema['minimum']} to {schema['maximum']}." if "maximum" in schema else f"{schema['minimum']} or more.")
    if "maxLength" in schema and "x-kubernetes-preserve-unknown-fields" not in schema:
        words.append(f"At most {schema['maxLength']} characters.")
    if "minItems" in schema:
        words.append("Not empty.")
    if "maxItems" in schema:
        words.append(f"At most {schema['maxItems']} items.")
    return words


def rows(path, schema, required=False):
    """(path, type, default, meaning) of a field and of all below it."""
    if path:
        meaning = " ".join([schema.get("description", ""), *limits_of(schema)]).strip()
        yield path, plain_type(schema), "**required**" if required else default_of(schema), meaning
    for name, below in schema.get("properties", {}).items():
        yield from rows(f"{path}.{name}" if path else name, below, name in schema.get("required", []))
    if "items" in schema:
        yield from rows(path + "[]", schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        yield from rows(path + "{}", schema["additionalProperties"])


def rules(path, schema):
    """(path, rule in words, CEL or "") of a field and of all below it."""
    for words in schema.get("_rules", []):
        yield path, words, ""
    for rule in schema.get("x-kubernetes-validations", []):
        yield path, rule["message"], rule["rule"]
    for name, below in schema.get("properties", {}).items():
        yield from rules(f"{path}.{name}" if path else name, below)
    if "items" in schema:
        yield from rules(path + "[]", schema["items"])


def cell(words):
    return words.replace("|", "\\|")


def section(crd):
    spec, called, version = crd["spec"], crd["spec"]["names"], crd["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    where = "of a namespace" if spec["scope"] == "Namespaced" else "of the whole cluster"
    columns = ", ".join(each["name"] + (" (with `-o wide`)" if each.get("priority") else "")
                        for each in version["additionalPrinterColumns"])
    out = [f"\n## {called['kind']}\n", schema["description"],
           f"An object {where}: `kubectl get {called['plural']}`, in short `{called['shortNames'][0]}`. It prints {columns}.\n",
           "| field | type | default | what it means |", "|---|---|---|---|"]
    shown = {**schema, "properties": {key: value for key, value in schema["properties"].items() if key not in ("apiVersion", "kind")}}
    out += [f"| `{path}` | {kind} | {cell(default)} | {cell(meaning)} |" for path, kind, default, meaning in rows("", shown)]
    out += ["\n| rule of | says | as CEL |", "|---|---|---|"]
    out += [f"| `{path}` | {cell(words)} | {'`' + cell(cel) + '`' if cel else ''} |" for path, words, cel in rules("", shown)]
    return "\n".join(out) + "\n"


def files():
    """Path and text of all that is written."""
    made = {f"manifests/base/crds/{crd['spec']['names']['plural']}.yaml": manifest(crd) for crd in DEFINITIONS}
    made["docs/reference.md"] = PAGE + "".join(section(crd) for crd in DEFINITIONS)
    return made


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; say which file is not as it should be")
    check = parser.parse_args().check
    stale = 0
    for path, text in files().items():
        whole = os.path.join(ROOT, path)
        if read(whole) == text:
            continue
        stale += 1
        if check:
            print(f"{path} is not what scripts/crds.py makes of scripts/crd_schema.py: run scripts/crds.py")
            continue
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        with open(whole, "w", encoding="utf-8") as file:
            file.write(text)
        print(f"wrote {path}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
