# SPDX-License-Identifier: Apache-2.0
"""Judges an object by a CustomResourceDefinition's schema as the API server does, as far as ours go: types, patterns, limits,
unknown fields, and the CEL rules, which are few and simple enough to be turned into Python."""
import re

import yaml


class Loader(yaml.SafeLoader):
    """As kubectl reads YAML: a date is text."""


Loader.yaml_implicit_resolvers = {first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
                                  for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}
TYPES = {"object": dict, "array": list, "string": str, "integer": int}
ANYTHING = "x-kubernetes-preserve-unknown-fields"
RULES = "x-kubernetes-validations"
UNKNOWN = "unknown field"  # the API server keeps it in a spec; Postern is who refuses it


def documents(text):
    return [document for document in yaml.load_all(text, Loader) if document]


def holds(rule, value):
    """One CEL rule of a value."""
    python = re.sub(r"has\(self\.(\w+)\)", r"('\1' in self)", rule)
    python = re.sub(r"self\.(startsWith|endsWith)\(", lambda found: f"self.{found[1].lower()}(", python)
    python = re.sub(r"self\.(operator|values)\b", r"self['\1']", python)
    python = re.sub(r"!(?!=)", " not ", python.replace("&&", " and ").replace("||", " or ")).strip()
    return eval(python, {"__builtins__": {}}, {"self": value, "size": len})


def judge_value(schema, value, path):
    """What is no matter of type: limits, patterns, junctions. Each speaks of the types that it knows, as in JSON schema."""
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: not one of {schema['enum']}"
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value, re.ASCII):
            yield f"{path}: does not match {schema['pattern']}"
        if len(value) > schema.get("maxLength", len(value)):
            yield f"{path}: too long"
    if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{path}: not from {schema.get('minimum')} to {schema.get('maximum')}"
    if isinstance(value, list) and not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{path}: {len(value)} items"
    if isinstance(value, dict):
        yield from (f"{path}.{name}: required" for name in schema.get("required", []) if name not in value)
        if len(value) > schema.get("maxProperties", len(value)):
            yield f"{path}: too many fields"
    if "x-kubernetes-int-or-string" in schema:
        return
    if "anyOf" in schema and all(any(judge_value(each, value, path)) for each in schema["anyOf"]):
        yield f"{path}: none of anyOf"
    for each in schema.get("allOf", []):
        yield from judge_value(each, value, path)
    if "not" in schema and not any(judge_value(schema["not"], value, path)):
        yield f"{path}: is what it must not be"


def judge(schema, value, path="", cel=True):
    """Everything that is wrong with a value. Without cel: as an API server that does not know such rules."""
    kind = schema.get("type")
    good = isinstance(value, (int, str)) if "x-kubernetes-int-or-string" in schema else kind is None or isinstance(value, TYPES[kind])
    if not good or (isinstance(value, bool) and kind != "boolean"):
        yield f"{path}: not of type {kind or 'integer or string'}"
        return
    yield from judge_value(schema, value, path)
    if isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, below in value.items():
            if name in properties or isinstance(others, dict):
                yield from judge(properties.get(name, others), below, f"{path}.{name}", cel)
            elif (not schema.get(ANYTHING) or kind) and path != ".metadata":  # what metadata has, every API server knows
                yield f"{path}.{name}: {UNKNOWN}"
    if isinstance(value, list):
        for index, below in enumerate(value):
            yield from judge(schema["items"], below, f"{path}[{index}]", cel)
        keys = schema.get("x-kubernetes-list-map-keys", [])
        named = [tuple(item.get(key) for key in keys) for item in value if isinstance(item, dict)]
        if keys and len(set(named)) < len(named):
            yield f"{path}: two of one name"
    yield from (f"{path}: {rule['message']}" for rule in schema.get(RULES, []) if cel and not holds(rule["rule"], value))


# ---- Is the schema one that the API server takes? ----

COST_MAX = 10_000_000  # of one rule, by the API server's estimate
COST_OF_OURS = 19      # more than any of our rules costs once: a few looks at a field or at the ends of a word


def seen_by_cel(schema):
    """CEL has no declaration for a value of no one type, nor for what is made of such values."""
    if "x-kubernetes-int-or-string" in schema:
        return True
    return "type" in schema and all(seen_by_cel(schema[part]) for part in ("items", "additionalProperties") if part in schema)


def faults(schema, path="", count=1):
    """What the API server would have against the schema itself. count: how many values of it one object may have."""
    typeless = schema.get(ANYTHING) or schema.get("x-kubernetes-int-or-string")
    if "type" not in schema and not typeless:
        yield f"{path}: no type"
    if "properties" in schema and "additionalProperties" in schema:
        yield f"{path}: properties and additionalProperties"
    if not schema.get("description") and path != ".metadata":
        yield f"{path}: nobody says what it means"
    for name in schema.get("required", []):
        if name not in schema.get("properties", {}):
            yield f"{path}: requires {name}, which it does not have"
    for rule in schema.get(RULES, []):
        if count * COST_OF_OURS > COST_MAX:
            yield f"{path}: {count} values make a rule too dear: {rule['rule']}"
        for name in re.findall(r"self\.(\w+)\b(?!\()", rule["rule"]):
            if not seen_by_cel(schema.get("properties", {}).get(name, {})):
                yield f"{path}: CEL cannot see {name}: {rule['rule']}"
    for name, below in schema.get("properties", {}).items():
        if RULES in str(below) and "type" not in schema:
            yield f"{path}.{name}: a rule in what CEL cannot see"
        yield from faults(below, f"{path}.{name}", count)
    if "items" in schema:
        if "maxItems" not in schema:
            yield f"{path}: a list without an end"
        yield from faults(schema["items"], path + "[]", count * schema.get("maxItems", 10**6))
    if "additionalProperties" in schema:
        yield from faults(schema["additionalProperties"], path + "{}", count * schema.get("maxProperties", 10**6))
