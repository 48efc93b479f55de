# SPDX-License-Identifier: Apache-2.0
"""What several fields of scripts/crd_schema.py are made of: names, addresses, ports, template references, selectors.

Two rules of the API server shape it. CEL cannot see values that are of several types ("pypi.org" or {name: pypi.org}), nor a
list of them: what is said about those is said in plain schema. And a rule's estimated cost is multiplied by the greatest
number of items around it and has a limit (10 million a rule), hence maxItems, and rules about names that look at their two
ends only. A pattern costs nothing; it says less.
"""

# What a name may consist of. The last label has something else than digits; behind the last "*" there are two labels.
LABEL = r"[-\w]{1,63}"
WORD = r"[-\w]*[-A-Za-z_][-\w]*"
NAME = rf"^((\*(\{{1\}})?\.)?(({LABEL}|\*)\.)*{LABEL}\.)?{WORD}\.?$"
# In a template a label may hold {parameters}.
PIECE = r"([-\w]|\{[^{}]+\})+"
TEMPLATE_NAME = rf"^((\*\.)?(({PIECE}|\*)\.)*{PIECE}\.)?{PIECE}\.?$"
BYTE = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
CIDR = rf"^({BYTE}(\.{BYTE}){{3}}(/[0-9]{{1,2}})?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(/[0-9]{{1,3}})?)$"
OBJECT_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DATE = r"(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"

NOT_A_URL = {"rule": "!self.startsWith('https://') && !self.startsWith('http://') && !self.endsWith('/')",
             "message": "this is a URL: write the name alone, as api.example.com, without scheme, port or path"}
WHOLE_STAR = {"rule": "!self.startsWith('*') || self.startsWith('*.') || self.startsWith('*{1}.')",
              "message": "\"*\" is a whole label with two labels or more behind it: write *.example.com"}


def text(description, **more):
    return {"description": description, "type": "string", **more}


def word(description, *words, **more):
    return text(description, enum=list(words), **more)


def number(description, low, high, **more):
    return {"description": description, "type": "integer", "minimum": low, "maximum": high, **more}


def several(description, items, most, **more):
    return {"description": description, "type": "array", "maxItems": most, "items": items, **more}


def fields(description, properties, **more):
    return {"description": description, "type": "object", "properties": properties, **more}


def either(description, properties, required, **for_the_word):
    """A word, or a map of fields. A structural schema has no such type: Postern gets the value unpruned, and refuses unknown fields."""
    return {"description": description, "x-kubernetes-preserve-unknown-fields": True, "properties": properties, "required": required,
            **for_the_word}


def one_of_them(*names):
    return [{"required": [name]} for name in names]


def names(description, most):
    item = text("A name, `api.example.com`, or a pattern: `*.example.com` is every name below it, a `*` further in is one label "
                "(`sts.*.amazonaws.com`), `*{1}.` in front one label alone. No scheme, port, path or address; two labels or more "
                "behind the last `*`.", maxLength=257, pattern=NAME)
    item["x-kubernetes-validations"] = [NOT_A_URL, WHOLE_STAR]
    return several(description, item, most)


def cidrs(description, most=10000, **more):
    return several(description, text("`10.0.0.0/8`, `2001:db8::/32`, or one address. No bits may be set behind the length.", maxLength=49,
                                     pattern=CIDR), most, **more)


def ports(description, otherwise):
    item = {"description": "`443` or `443/tcp`, `443/udp`, a range `8000-8010` or `8000-8010/udp`, `echo` (ping), or `\"*\"` for every "
                           "protocol and port.",
            "x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}], "minimum": 1, "maximum": 65535,
            "maxLength": 15, "pattern": r"^(\*|echo|[0-9]{1,5}(-[0-9]{1,5})?(/(tcp|udp))?)$"}
    return several(description + " At most 32 ranges once neighbours are joined.", item, 256, minItems=1, _default=otherwise)


def risk(description, otherwise="not marked"):
    return word(description, "user-content", _default=otherwise)


def template_reference(description, most, values):
    value = {"description": values, "x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}], "minimum": 0,
             "maxLength": 253, "pattern": rf"^(\*|{LABEL}|\{{[^{{}}]+\}})$"}
    item = either(
        "The template's name, or a map of name, groups and params. The API server keeps what it does not know of such a map; "
        "Postern refuses it.",
        {"name": text("What the template is called: its `metadata.name`.", maxLength=63, pattern=OBJECT_NAME),
         "groups": several("The groups to take.", text("A group of the template.", maxLength=253), 256, minItems=1, _default="all of them"),
         "params": {"description": "Values of the template's parameters.", "type": "object", "additionalProperties": value,
                    "_default": "the template's own"}},
        ["name"], maxLength=63, pattern=OBJECT_NAME)
    return several(description, item, most)


def label_selector(description, otherwise):
    operator = word("How the label is compared.", "In", "NotIn", "Exists", "DoesNotExist")
    expression = fields("One condition on a label.", {
        "key": text("The label's name.", maxLength=317),
        "operator": operator,
        "values": several("For In and NotIn: one value or more. For the other two: none.", text("A value of the label.", maxLength=63),
                          1000)},
        required=["key", "operator"])
    expression["x-kubernetes-validations"] = [
        {"rule": "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
         "message": "In and NotIn need values, Exists and DoesNotExist take none"}]
    return fields(description, {
        "matchLabels": {"description": "Labels that must all be there, with these values.", "type": "object", "maxProperties": 1000,
                        "additionalProperties": text("The label's value.", maxLength=63)},
        "matchExpressions": several("Conditions that must all hold.", expression, 100)},
        **{"x-kubernetes-map-type": "atomic", "_default": otherwise})
