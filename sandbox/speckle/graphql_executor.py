"""Runs GraphQL documents on the schema, and words answers and errors as the recorded server did."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    build_ast_schema,
    execute,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)
from graphql.execution.values import get_variable_values

from sandbox.speckle.event_data import iso
from sandbox.speckle.release import Release
from sandbox.speckle.resolvers import RESOLVERS

NO_BODY: Final = "BAD_REQUEST"
SYNTAX: Final = "GRAPHQL_PARSE_FAILED"
Answer = tuple[int, dict[str, Any]]
CAMEL = re.compile(r"(?<!^)(?=[A-Z])")
KEY = re.compile(r"'(\w+)': ")


@cache
def make_schema(release: Release, missing: frozenset[str] = frozenset()) -> GraphQLSchema:
    """A release's schema with its resolvers; what has none is read off the value.

    `missing`: fields, such as "Stream.activity", that the server has not got besides.
    """
    # Not checked: a type is left without fields where all of them were removed.
    schema = build_ast_schema(_parsed(release.schema_file), assume_valid=True)
    _remove(schema, release, missing)
    for name, resolver in RESOLVERS.items():
        field = _fields_of(schema, name).get(name.partition(".")[2])
        if field is not None:
            field.resolve = resolver
    moments = schema.type_map["DateTime"]
    assert isinstance(moments, GraphQLScalarType)
    moments.coerce_output_value = lambda value: value if isinstance(value, str) else iso(value)
    objects = schema.type_map["JSONObject"]
    assert isinstance(objects, GraphQLScalarType)
    objects.coerce_input_value = _json_object
    return schema


@cache
def _parsed(schema_file: str) -> DocumentNode:
    """Most of the time that a schema takes."""
    return parse(Path(__file__).with_name(schema_file).read_text(), no_location=True)


def _remove(schema: GraphQLSchema, release: Release, missing: Collection[str]) -> None:
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLObjectType) and release.without is not None:
            for name, field in list(kind.fields.items()):
                if (field.deprecation_reason or "").startswith(release.without):
                    del kind.fields[name]
    for name in missing:
        _fields_of(schema, name).pop(name.partition(".")[2], None)


def _fields_of(schema: GraphQLSchema, name: str) -> dict[str, GraphQLField]:
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


@dataclass(frozen=True, slots=True)
class Question:
    """A question that can be answered; `operation` is the one of its operations that is asked."""

    schema: GraphQLSchema
    document: DocumentNode
    operation: OperationDefinitionNode | None
    variables: Mapping[str, Any]
    operation_name: str | None

    def answer(self, context: Any, root: Any = None) -> dict[str, Any]:
        """What it gives, asked by the context's asker; `root` has the event of a subscription."""
        result = execute(
            self.schema,
            self.document,
            root,
            context_value=context,
            variable_values=dict(self.variables),
            operation_name=self.operation_name,
            field_resolver=read_field,
        )
        assert not hasattr(result, "__await__")
        answer: dict[str, Any] = {}
        if result.errors:
            answer["errors"] = [_error(error) for error in result.errors]
        answer["data"] = result.data
        return answer


class NotUnderstood(Exception):
    """Refused before anything was looked up; `code` is the word of the HTTP answer."""

    def __init__(self, error: GraphQLError, code: str) -> None:
        super().__init__(error.message)
        self.code = code
        # graphql-core's words in graphql-js's spelling.
        self.message = error.message if code == NO_BODY else _as_javascript(error.message)
        self.locations = [location.formatted for location in error.locations or ()]

    @property
    def error(self) -> dict[str, Any]:
        """The error as a socket has it."""
        return {"message": self.message} | ({"locations": self.locations} if self.locations else {})


def understand(schema: GraphQLSchema, asked: Any, *, introspection: bool = True) -> Question:
    """Read and check a question. Errors: NotUnderstood."""
    if not isinstance(asked, dict) or not asked.get("query"):
        message = "POST body missing, invalid Content-Type, or JSON object has no keys."
        raise NotUnderstood(GraphQLError(message), NO_BODY)
    document = _document(schema, str(asked["query"]), introspection)
    if isinstance(document, GraphQLSyntaxError):
        raise NotUnderstood(document, SYNTAX)
    if isinstance(document, GraphQLError):
        raise NotUnderstood(document, "GRAPHQL_VALIDATION_FAILED")
    variables = asked.get("variables") or {}
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            values = get_variable_values(schema, node.variable_definitions or (), variables)
            if isinstance(values, list):
                raise NotUnderstood(values[0], "BAD_USER_INPUT")
    name = asked.get("operationName")
    return Question(schema, document, get_operation_ast(document, name), variables, name)


def run(schema: GraphQLSchema, asked: Any, context: Any, *, introspection: bool = True) -> Answer:
    """HTTP status and JSON for one question."""
    try:
        question = understand(schema, asked, introspection=introspection)
    except NotUnderstood as refusal:
        formatted = refusal.error | {"extensions": {"code": refusal.code}}
        return 400, {"errors": [formatted]}
    return 200, question.answer(context)


@lru_cache(maxsize=512)
def lists_asked(query: str) -> int:
    """Of how many projects a question asks the activity list: its fields `stream{activity}`."""
    try:
        document = parse(query)
    except GraphQLSyntaxError:
        return 0
    fragments = {
        one.name.value: one
        for one in document.definitions
        if isinstance(one, FragmentDefinitionNode)
    }
    return sum(
        field.name.value == "stream"
        and any(inner.name.value == "activity" for inner in _fields(field, fragments))
        for one in document.definitions
        if isinstance(one, OperationDefinitionNode)
        for field in _fields(one, fragments)
    )


def _fields(
    node: OperationDefinitionNode | FragmentDefinitionNode | InlineFragmentNode | FieldNode,
    fragments: Mapping[str, FragmentDefinitionNode],
) -> Iterator[FieldNode]:
    """The fields that are selected in it, those of fragments too."""
    for selected in node.selection_set.selections if node.selection_set else ():
        if isinstance(selected, FieldNode):
            yield selected
        elif isinstance(selected, InlineFragmentNode):
            yield from _fields(selected, fragments)
        elif isinstance(selected, FragmentSpreadNode) and selected.name.value in fragments:
            name = selected.name.value  # left out below it, should it select itself
            others = {key: one for key, one in fragments.items() if key != name}
            yield from _fields(fragments[name], others)


@lru_cache(maxsize=512)  # the bot has some forty questions, and to check one takes longest of all
def _document(
    schema: GraphQLSchema, query: str, introspection: bool
) -> DocumentNode | GraphQLError:
    """The question, read and checked, or what is wrong with it."""
    try:
        document = parse(query)
    except GraphQLSyntaxError as error:
        return error
    hidden = () if introspection else (NoSchemaIntrospectionCustomRule,)
    errors = validate(schema, document, (*specified_rules, *hidden))
    return errors[0] if errors else document


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
