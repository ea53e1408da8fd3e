"""Checks the examples in an OpenAPI document against its schemas."""

import json
import sys

import jsonschema_rs


def media_types(part):
    """Every part of the document that holds a schema and an example of it."""
    if isinstance(part, dict):
        if isinstance(part.get("schema"), dict) and part.keys() & {"example", "examples"}:
            yield part
        for inner in part.values():
            yield from media_types(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from media_types(inner)


with open(sys.argv[1]) as file:
    document = json.load(file)

checked = 0
for part in media_types(document):
    schema = part["schema"] | {"components": document["components"]}
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    examples = [example["value"] for example in part.get("examples", {}).values()]
    if "example" in part:
        examples.append(part["example"])
    for example in examples:
        validator.validate(example)
        checked += 1
assert checked > 0
