"""Runs GraphQL documents on the schema, and words answers and errors as the recorded server did."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from graphql import (
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    build_schema,
    execute,
    parse,
    validate,
)
from graphql.execution.values import get_variable_values

from sandbox.speckle.release import ANNOUNCED, Release
from sandbox.speckle.resolvers import RESOLVERS
from sandbox.speckle.speckle_world import iso

Answer = tuple[int, dict[str, Any]]
CAMEL = re.compile(r"(?<!^)(?=[A-Z])")
KEY = re.compile(r"'(\w+)': ")


@cache
def schema_of(release: Release) -> GraphQLSchema:
    """What a release knows, without resolvers."""
    return _schema(release)


@cache
def executable(release: Release) -> GraphQLSchema:
    """The schema with RESOLVERS, of which it takes what it has; what has none is read off the
    value.
    """
    schema = _schema(release)
    for name, resolver in RESOLVERS.items():
        if (field := _fields_of(schema, name).get(name.partition(".")[2])) is not None:
            field.resolve = resolver
    moments = schema.type_map["DateTime"]
    assert isinstance(moments, GraphQLScalarType)
    moments.coerce_output_value = lambda value: value if isinstance(value, str) else iso(value)
    objects = schema.type_map["JSONObject"]
    assert isinstance(objects, GraphQLScalarType)
    objects.coerce_input_value = _json_object
    return schema


def _schema(release: Release) -> GraphQLSchema:
    text = Path(__file__).with_name(release.schema_file).read_text()
    # Not checked: a type without fields is left where all of them were removed.
    schema = build_schema(text, assume_valid=True)
    for name in release.without:
        del _fields_of(schema, name)[name.partition(".")[2]]
    if release.as_announced:
        for kind in schema.type_map:
            _remove_announced(_fields_of(schema, kind))
    return schema


def _remove_announced(fields: dict[str, GraphQLField]) -> None:
    for name, field in list(fields.items()):
        if (field.deprecation_reason or "").startswith(ANNOUNCED):
            del fields[name]


def _fields_of(schema: GraphQLSchema, name: str) -> dict[str, GraphQLField]:
    """The fields of the type in "Type.field"; none of what is no type with fields."""
    kind = schema.type_map.get(name.partition(".")[0])
    return kind.fields if isinstance(kind, GraphQLObjectType) else {}


def _json_object(value: Any) -> Any:
    if not isinstance(value, dict):
        raise GraphQLError(f"JSONObject cannot represent non-object value: {value}")
    return value


def read_field(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
    """The field's value: a dict's key, or the attribute of that name in Python's spelling."""
    if isinstance(source, Mapping):
        return source.get(info.field_name)
    return getattr(source, CAMEL.sub("_", info.field_name).lower(), None)


def run(schema: GraphQLSchema, asked: Any, context: Any) -> Answer:
    """HTTP status and JSON for one question."""
    if not isinstance(asked, dict) or not asked.get("query"):
        message = "POST body missing, invalid Content-Type, or JSON object has no keys."
        return _unasked(GraphQLError(message), "BAD_REQUEST")
    try:
        document = parse(asked["query"])
    except GraphQLSyntaxError as error:
        return _unasked(error, "GRAPHQL_PARSE_FAILED")
    if errors := validate(schema, document):
        return _unasked(errors[0], "GRAPHQL_VALIDATION_FAILED")
    variables = asked.get("variables") or {}
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            values = get_variable_values(schema, node.variable_definitions or (), variables)
            if isinstance(values, list):
                return _unasked(values[0], "BAD_USER_INPUT")
    result = execute(
        schema,
        document,
        context_value=context,
        variable_values=variables,
        operation_name=asked.get("operationName"),
        field_resolver=read_field,
    )
    assert not hasattr(result, "__await__")
    answer: dict[str, Any] = {}
    if result.errors:
        answer["errors"] = [_error(error) for error in result.errors]
    answer["data"] = result.data
    return 200, answer


def _unasked(error: GraphQLError, code: str) -> Answer:
    """Refused before anything was looked up: no `data`."""
    message = error.message
    if code != "BAD_REQUEST":
        message = _as_javascript(message)
    formatted: dict[str, Any] = {"message": message, "extensions": {"code": code}}
    if error.locations:
        formatted["locations"] = [location.formatted for location in error.locations]
    return 400, {"errors": [formatted]}


def _as_javascript(message: str) -> str:
    """graphql-core's words in graphql-js's spelling."""
    message = KEY.sub(r"\1: ", message)
    message = message.replace("'", '"')
    return re.sub(r"\{(?! )(.*?)\}", r"{ \1 }", message)


def _error(error: GraphQLError) -> dict[str, Any]:
    formatted: dict[str, Any] = {"message": error.message}
    if error.locations:
        formatted["locations"] = [location.formatted for location in error.locations]
    if error.path:
        formatted["path"] = error.path
    formatted["extensions"] = dict(error.extensions or {"code": "INTERNAL_SERVER_ERROR"})
    return formatted
