"""The OpenAPI 3.1 document, made from the table of operations."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pitstop.service.api.operation import Operation
from pitstop.version import __version__

_PARAMETER = re.compile(r"\{(\w+)\}")
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
_BINARY = {"type": "string", "format": "binary"}
_REFUSALS = {
    "401": "No credentials, or wrong ones.",
    "403": "The caller's roles do not allow it.",
    "404": "There is no such thing, or it is out of the caller's sight.",
    "409": "As things stand it cannot be done.",
    "413": "The body is too long.",
    "421": "The service does not answer for this host.",
    "422": "The request is not what was expected.",
    "503": "Another process works in this model's home; try again after `Retry-After`.",
}
_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Sent again with the same key and body, a request is answered as it was and does nothing twice.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
}


def document(operations: tuple[Operation, ...]) -> dict[str, Any]:
    """Return the document as plain JSON types."""
    types = [kind for item in operations for kind in (item.answer, item.body, item.query) if kind is not None]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    found = dict(zip(map(_key, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for item in operations:
        paths.setdefault(item.path, {})[item.method.lower()] = _operation(item, found, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Pitstop",
            "version": __version__,
            "description": "Watches models in production, names what went wrong, and knows when a retrain pays.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": _PROBLEM},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}},
        },
    }


def _key(kind: Any) -> str:
    return repr(kind)


def _operation(item: Operation, schemas: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    refusals = {
        status: {
            "description": said,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, said in _REFUSALS.items()
    }
    answer: dict[str, Any] = {"description": "Done." if item.status != 202 else "Taken; the job says how it goes."}
    if item.gives:
        answer["content"] = {item.gives: {"schema": _BINARY}}
    elif item.answer is not None:
        answer["content"] = {"application/json": {"schema": schemas[_key(item.answer)]}}
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1, "maxLength": 200}}
        for name in _PARAMETER.findall(item.path)
    ]
    parameters += _query(schemas[_key(item.query)], components)
    parameters += [_IDEMPOTENCY] if item.method == "POST" else []
    made: dict[str, Any] = {
        "operationId": item.name,
        "summary": item.summary.split("\n")[0],
        "x-roles": sorted(item.roles),
        "parameters": parameters,
        "responses": {str(item.status): answer, **refusals},
    }
    if item.takes:
        made["requestBody"] = {"required": True, "content": {item.takes: {"schema": _BINARY}}}
    elif item.body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": schemas[_key(item.body)]}}}
    return made


def _query(schema: dict[str, Any], components: dict[str, Any]) -> list[dict[str, Any]]:
    record = components[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return [
        {"name": name, "in": "query", "required": name in record.get("required", ()), "schema": kind}
        for name, kind in record.get("properties", {}).items()
    ]
