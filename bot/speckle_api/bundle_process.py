"""Reads the tables of bundles, as a program of its own that can reach nothing but its folder.

    python -I bundle_process.py FOLDER QUESTION SECONDS

prints the answer as JSON. The tables come from somebody else's server: Parquet that is made to
harm meets a process with little memory and time, in which duckdb may open neither a connection nor
any other file. It knows nothing of the bot, and is ended from outside after these seconds.

Source of what is in the tables: schema 1.2, as specklepy 2026.9.1 writes and reads it.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final

import duckdb

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]  # a module elsewhere

OBJECTS: Final = "objects.parquet"
MEMORY: Final = "256MB"
MAX_ADDRESS_SPACE: Final = 2 * 1024**3  # duckdb maps more than it uses
MAX_CPU_S: Final = 20
CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "threads": 1,
    "memory_limit": MEMORY,
    "temp_directory": "",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
}


def count_objects(tables: duckdb.DuckDBPyConnection, folder: Path, within_s: float = 0.0) -> int:
    """How many objects the object table has."""
    return int(_scalar(tables, "SELECT count(*) FROM read_parquet(?)", str(folder / OBJECTS)))


# ── comparing two bundles ─────────────────────────────────────────────────────────────────────

SIDES: Final = ("before", "after")
# As in the bot's rules of comparing, which this program cannot import: so many elements without a
# counterpart on both sides have new ids, if there are about as many of them.
NEW_IDS_SHARE: Final = 0.9
NEW_IDS_SIZE: Final = 0.1
MAX_TEXT: Final = 120  # characters, of a name or a category
MAX_NAME: Final = 80  # characters, of a property
MOST_HOSTS: Final = 8  # one within the other
MOST_OF_ONE: Final = 256  # properties of one element that are said to differ
CATEGORY, LEVEL = "category", "level"
# A dot in a path is between two names where a name could begin behind it: not in "No. of risers".
BETWEEN_NAMES: Final = re.compile(r"\.(?=[^\s.)])")
PARAMETER: Final = re.compile(r"\$(\w+)")

Kind = tuple[str, str, str]  # category, level, name
Change = tuple[Kind, tuple[str, ...], bool]  # properties, and whether it moved


@dataclass(frozen=True, slots=True)
class CompareLimits:
    """How far a comparison goes.

    A version beyond `elements` or `rows` of its properties is only counted, up to `counted` and
    `counted_rows`. After `details_share` of the time it is not found out of more elements how they
    differ. An answer has at most `answers` kinds and as many changes: with more, it says less of
    each.
    """

    elements: int = 250_000
    rows: int = 10_000_000
    counted: int = 500_000
    counted_rows: int = 40_000_000
    batch_rows: int = 400_000
    details_share: float = 0.7
    answers: int = 2_000
    properties: int = 100


class _NotCompared(Exception):
    """The answer is why, in one of the bot's words for it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


# What the statements below say for short, in this order; SIDE is a version.
SHORT: Final[Mapping[str, str]] = {
    "PAIR_VALUES": """SELECT pair, paths.id, HASHED AS hashed, value_double AS number,
            CASE WHEN NOT contains(lower(value_string), 'e') THEN hash(value_string) END AS written
        """,
    "HASHED": "hash(paths.id, value_string, value_double, value_boolean)",
    "HAS_VALUE": (
        "(value_string IS NOT NULL OR value_double IS NOT NULL OR value_boolean IS NOT NULL)"
    ),
}
# By the file's name; all but the first may be missing. The indices of objects, paths, types and
# nodes are those of one version; they come from the order of writing. Of the id of an application,
# and later of all that an element says, only a hash is kept: memory is little.
LOADED: Final[Mapping[str, str]] = {
    "eav.objects": """
        CREATE TABLE SIDE_objects AS
        SELECT object_index::BIGINT AS k,
            CASE WHEN application_id::VARCHAR <> '' THEN hash(application_id::VARCHAR) END AS id
        FROM read_parquet($file)""",
    "eav.object_type": """
        CREATE TABLE SIDE_object_type AS
        SELECT object_index::BIGINT AS k, min(type_index::BIGINT) AS type
        FROM read_parquet($file) GROUP BY ALL""",
    "envelope.nodes": """
        CREATE TABLE SIDE_nodes AS
        SELECT id::BIGINT AS k, kind::INTEGER AS kind, min(name::VARCHAR) AS name
        FROM read_parquet($file) WHERE kind IN (5, 7) AND name <> '' GROUP BY ALL""",
    "envelope.relations": """
        CREATE TABLE SIDE_relations AS
        SELECT rel::INTEGER AS rel, src::BIGINT AS src, dst::BIGINT AS dst
        FROM read_parquet($file) WHERE rel IN (3, 7, 10)""",
}
TYPE_VALUES: Final = "eav.type_eav"
# Tables that are not there.
EMPTY: Final[Mapping[str, str]] = {
    "eav.object_type": "CREATE TABLE SIDE_object_type (k BIGINT, type BIGINT)",
    "envelope.nodes": "CREATE TABLE SIDE_nodes (k BIGINT, kind INTEGER, name VARCHAR)",
    "envelope.relations": "CREATE TABLE SIDE_relations (rel INTEGER, src BIGINT, dst BIGINT)",
    TYPE_VALUES: """
        CREATE TABLE SIDE_types (type BIGINT, rows BIGINT, content HUGEINT, lost BIGINT)""",
}
NOT_UNIQUE: Final = "SELECT count(*) - count(DISTINCT k) FROM NAME"
DROP: Final = "DROP TABLE NAME"
PATH_NAMES: Final = """
    CREATE TABLE SIDE_path_names AS
    SELECT path_index::BIGINT AS k, coalesce(path::VARCHAR, '') AS path FROM read_parquet($file)"""
# One number for a path of both versions. Content is not: what says which object it is, what is
# below it, and what the kind of an element says already.
PATHS: Final = """
    CREATE TABLE paths AS
    SELECT row_number() OVER () AS id, path,
        starts_with(path, 'location.') OR starts_with(path, 'proxy.transform.') AS is_place,
        path NOT IN ('', 'applicationId', 'elements', 'category', 'level')
            AND NOT starts_with(path, 'displayValue.') AS is_content
    FROM (SELECT path FROM before_path_names UNION SELECT path FROM after_path_names)"""
SIDE_PATHS: Final = """
    CREATE TABLE SIDE_paths AS
    SELECT k, id, path, is_content FROM SIDE_path_names JOIN paths USING (path)"""
# What an element says of itself.
OWN_WORDS: Final = """
    CREATE TABLE SIDE_words AS
    SELECT object_index::BIGINT AS k,
        min(value_string) FILTER (path = 'category') AS category,
        min(value_string) FILTER (path = 'ifcType') AS ifc_type,
        min(value_string) FILTER (path = 'type') AS type,
        min(value_string) FILTER (path = 'speckle_type') AS speckle_type,
        min(value_string) FILTER (path = 'level') AS level,
        min(value_string) FILTER (path = 'name') AS name
    FROM read_parquet($eav) JOIN (
        SELECT k AS path_index, path FROM SIDE_paths
        WHERE path IN ('category', 'ifcType', 'type', 'speckle_type', 'level', 'name')
    ) USING (path_index) WHERE value_string <> '' GROUP BY ALL"""
# What it is in, and on: relation 10 leads to a container (7), and 7 to a level (5).
PLACES: Final = """
    CREATE TABLE SIDE_places AS
    SELECT src AS k, min(name) AS name FROM SIDE_relations
    JOIN SIDE_nodes nodes ON dst = nodes.k WHERE rel = 10 AND kind = 7 GROUP BY ALL"""
LEVELS: Final = """
    CREATE TABLE SIDE_levels AS
    SELECT src AS k, min(name) AS name FROM SIDE_relations
    JOIN SIDE_nodes nodes ON dst = nodes.k WHERE rel = 7 AND kind = 5 GROUP BY ALL"""
HOSTS: Final = """
    CREATE TABLE SIDE_hosts AS
    SELECT dst AS k, min(src) AS host FROM SIDE_relations WHERE rel = 3 GROUP BY ALL"""
HOSTED_PLACES: Final = """
    INSERT INTO SIDE_places
    SELECT hosts.k, above.name FROM SIDE_hosts hosts JOIN SIDE_places above ON above.k = host
    ANTI JOIN SIDE_places own ON own.k = hosts.k"""
NAMES: Final = """
    CREATE TABLE SIDE_names AS
    SELECT k,
        left(coalesce(category, ifc_type, places.name, type,
            list_last(string_split(speckle_type, '.')), ''), $max_text) AS category,
        left(coalesce(level, levels.name, ''), $max_text) AS level,
        left(coalesce(words.name, ''), $max_text) AS name
    FROM SIDE_objects objects LEFT JOIN SIDE_words words USING (k)
    LEFT JOIN SIDE_places places USING (k) LEFT JOIN SIDE_levels levels USING (k)"""
KINDS: Final = """
    CREATE TABLE kinds AS
    SELECT row_number() OVER () AS kind, category, level, name,
        hash('category', category)::HUGEINT + hash('level', level) AS content
    FROM (SELECT category, level, name FROM before_names
        UNION SELECT category, level, name FROM after_names)"""
ELEMENTS: Final = """
    CREATE TABLE SIDE_elements AS
    SELECT k, kind FROM SIDE_names JOIN kinds USING (category, level, name)"""
# An id that several elements have is paired in the order of writing.
NUMBERED: Final = """
    CREATE TABLE SIDE_numbered AS
    SELECT k, id, row_number() OVER (PARTITION BY id ORDER BY k) AS nth FROM SIDE_objects"""
# What it is like, as a number: the sum depends neither on the order of rows nor on whether a row
# is an element's or its type's. Lost rows are those of which nobody can say what they mean.
OWN: Final = """
    CREATE TABLE SIDE_own AS
    SELECT object_index::BIGINT AS k, count(*) AS rows,
        sum(HASHED) FILTER (is_content) AS content, count(*) FILTER (paths.id IS NULL) AS lost
    FROM read_parquet($eav) LEFT JOIN SIDE_paths paths ON path_index = paths.k
    WHERE HAS_VALUE GROUP BY ALL"""
TYPES: Final = """
    CREATE TABLE SIDE_types AS
    SELECT type_index::BIGINT AS type, count(*) AS rows,
        sum(HASHED) FILTER (is_content) AS content, count(*) FILTER (paths.id IS NULL) AS lost
    FROM read_parquet($type_eav) LEFT JOIN SIDE_paths paths ON path_index = paths.k
    WHERE HAS_VALUE GROUP BY ALL"""
LOST: Final = """
    SELECT (SELECT coalesce(sum(lost), 0) FROM SIDE_own)
        + (SELECT coalesce(sum(lost), 0) FROM SIDE_types)
        + (SELECT count(*) FROM SIDE_own own ANTI JOIN SIDE_objects objects USING (k))"""
CONTENTS: Final = """
    CREATE TABLE SIDE_contents AS
    SELECT k, numbered.id, nth, type, coalesce(own.rows, 0) + coalesce(types.rows, 0) AS rows,
        coalesce(own.content, 0) + coalesce(types.content, 0) + kinds.content AS content
    FROM SIDE_numbered numbered JOIN SIDE_elements elements USING (k) JOIN kinds USING (kind)
    LEFT JOIN SIDE_own own USING (k)
    LEFT JOIN SIDE_object_type object_type USING (k) LEFT JOIN SIDE_types types USING (type)"""
PAIRS: Final = """
    CREATE TABLE pairs AS
    SELECT b.k AS before, a.k AS after, b.content = a.content AS is_alike,
        b.rows + a.rows AS rows, b.type AS before_type, a.type AS after_type
    FROM before_contents b JOIN after_contents a ON b.id = a.id AND b.nth = a.nth"""
UNMATCHED: Final = """
    CREATE TABLE SIDE_unmatched AS
    SELECT k, content, row_number() OVER (PARTITION BY content ORDER BY k) AS nth
    FROM SIDE_contents contents ANTI JOIN pairs ON contents.k = pairs.SIDE
    WHERE id IS NULL OR NOT $nameless_alone"""
PAIRS_BY_CONTENT: Final = """
    INSERT INTO pairs SELECT b.k, a.k, true, 0, NULL, NULL
    FROM before_unmatched b JOIN after_unmatched a ON b.content = a.content AND b.nth = a.nth"""
WITHOUT_PAIR: Final = """
    SELECT category, level, name, count FROM kinds JOIN (
        SELECT kind, count(*) AS count FROM SIDE_elements elements
        ANTI JOIN pairs ON elements.k = pairs.SIDE GROUP BY ALL
    ) USING (kind)"""
CATEGORIES: Final = "SELECT category, '', '', count(*) FROM SIDE_names GROUP BY ALL"
# Some pairs at a time, whose rows fit into little memory.
DIFFERING: Final = """
    CREATE TABLE differing AS
    SELECT row_number() OVER (ORDER BY before) AS pair, before, after, before_type, after_type,
        sum(rows) OVER (ORDER BY before ROWS UNBOUNDED PRECEDING) // $batch_rows AS batch
    FROM pairs WHERE NOT is_alike"""
BATCHES: Final = "SELECT batch, count(*) FROM differing GROUP BY batch ORDER BY batch"
# A value as the number that it is, and as it was written where no exponent is in it: 3.1415926536
# is the same length as 3.1415926535, and "1.10" another room than "1.1".
OF_TYPES: Final = """
        UNION ALL
        PAIR_VALUES FROM read_parquet($SIDE_type_eav) JOIN chosen ON type_index = SIDE_type
        JOIN SIDE_paths paths ON path_index = paths.k WHERE is_content AND HAS_VALUE"""
VALUES: Final = """
    SELECT pair, id, count(*) AS rows, sum(hashed) AS hashed, min(number) AS number,
        min(written) AS written
    FROM (
        PAIR_VALUES FROM read_parquet($SIDE_eav) JOIN chosen ON object_index = SIDE
        JOIN SIDE_paths paths ON path_index = paths.k WHERE is_content AND HAS_VALUE OF_TYPES
    ) GROUP BY ALL"""
CHANGES: Final = """
    WITH chosen AS MATERIALIZED (FROM differing WHERE batch = $batch),
    b AS (BEFORE_VALUES), a AS (AFTER_VALUES),
    changed AS (
        SELECT coalesce(b.pair, a.pair) AS pair, coalesce(b.id, a.id) AS id
        FROM b FULL JOIN a ON b.pair = a.pair AND b.id = a.id
        WHERE b.hashed IS DISTINCT FROM a.hashed AND NOT coalesce(
            b.rows = 1 AND a.rows = 1
            AND abs(b.number - a.number) <= 1e-9 * greatest(abs(b.number), abs(a.number))
            AND NOT coalesce(b.number = a.number AND b.written <> a.written, false), false)
    ),
    listed AS (SELECT pair, list(id ORDER BY id)[:$most] AS ids FROM changed GROUP BY pair),
    counted AS (
        SELECT was.kind AS was, now.kind AS now, coalesce(ids, []) AS ids, count(*) AS count
        FROM chosen LEFT JOIN listed USING (pair)
        JOIN before_elements was ON was.k = before JOIN after_elements now ON now.k = after
        GROUP BY ALL
    )
    SELECT new.category, new.level, new.name, old.category <> new.category,
        old.level <> new.level, ids, count
    FROM counted JOIN kinds old ON old.kind = was JOIN kinds new ON new.kind = now"""
# A path ends with the name.
PATHS_OF: Final = """
    SELECT id, right(path, 4 * $max_name), is_place FROM paths
    WHERE id IN (SELECT unnest($used::BIGINT[]))"""


@dataclass(slots=True)
class TwoBundles:
    """The tables of two versions, while they are compared."""

    tables: duckdb.DuckDBPyConnection
    folder: Path
    limits: CompareLimits
    until: float

    def compared(self) -> Mapping[str, Any]:
        """What differs, in numbers of elements; or how many there are of each category.

        Errors: _NotCompared; those of duckdb.
        """
        sizes = [self._rows(side, "eav.objects") for side in SIDES]
        files = ("eav.eav", TYPE_VALUES, *LOADED)
        rows = max(self._rows(side, name) for side in SIDES for name in files)
        if max(sizes) > self.limits.counted or rows > self.limits.counted_rows:
            raise _NotCompared("too_large")
        if not any(sizes):
            raise _NotCompared("no_elements")
        self._name()
        if max(sizes) > self.limits.elements or rows > self.limits.rows:
            removed, added = (self._kinds(CATEGORIES, side) for side in SIDES)
            return {"before": sizes[0], "after": sizes[1], "removed": removed, "added": added}
        self._hash()
        by_content = self._pair(*sizes)
        changed, unknown = self._differences()
        pairs = self._scalar("SELECT count(*) FROM pairs")
        removed, added = (self._kinds(WITHOUT_PAIR, side) for side in SIDES)
        return {
            "before": sizes[0],
            "after": sizes[1],
            "removed": removed,
            "added": added,
            "pairs": pairs,
            "by_content": by_content,
            "checked": pairs - unknown,
            **_told_changes(changed, self.limits),
        }

    def _name(self) -> None:
        """Find out what the elements are called."""
        for side in SIDES:
            self._run(PATH_NAMES, side, file=self._file(side, "eav.paths"))
            self._check_unique(f"{side}_path_names")
        self._run(PATHS)
        for side in SIDES:
            self._run(SIDE_PATHS, side)
            self._drop(f"{side}_path_names")
            for name, load in LOADED.items():
                file = self._file(side, name)
                self._run(load if file.exists() else EMPTY.get(name, load), side, file=file)
            self._check_unique(f"{side}_objects")
            for statement in (OWN_WORDS, PLACES, LEVELS, HOSTS):
                self._run(statement, side)
            for _ in range(MOST_HOSTS):
                if not self._scalar(HOSTED_PLACES, side):
                    break
            self._run(NAMES, side, max_text=MAX_TEXT)
            for table in ("words", "places", "levels", "hosts", "nodes", "relations"):
                self._drop(f"{side}_{table}")

    def _hash(self) -> None:
        """Find out what they are like, as one number for each."""
        self._run(KINDS)
        for side in SIDES:
            self._run(ELEMENTS, side)
            self._drop(f"{side}_names")
        for side in SIDES:
            self._run(OWN, side)
            self._run(TYPES if self._has_types(side) else EMPTY[TYPE_VALUES], side)
            if self._scalar(LOST, side):
                raise _NotCompared("incomplete")
            self._run(NUMBERED, side)
            self._drop(f"{side}_objects")
            self._run(CONTENTS, side)
            for table in ("own", "types", "object_type", "numbered"):
                self._drop(f"{side}_{table}")

    def _pair(self, before: int, after: int) -> int:
        """Find out which are the same; gives how many are so by what they are like."""
        self._run(PAIRS)
        pairs = self._scalar("SELECT count(*) FROM pairs")
        are_new = are_ids_new(before - pairs, before, after - pairs, after)
        for side in SIDES:
            self._run(UNMATCHED, side, nameless_alone=not are_new)
        by_content = int(self._scalar(PAIRS_BY_CONTENT))
        for side in SIDES:
            self._drop(f"{side}_contents")
            self._drop(f"{side}_unmatched")
        return by_content

    def _differences(self) -> tuple[Counter[Change], int]:
        """How the elements of pairs differ, and of how many pairs there was no time to find out."""
        self._run(DIFFERING, batch_rows=self.limits.batch_rows)
        batches = self._run(BATCHES).fetchall()
        found: Counter[tuple[Any, ...]] = Counter()
        unknown = 0
        for batch, pairs in batches:
            if monotonic() >= self.until:
                unknown += pairs
                continue
            rows = self._run(self._changes(), batch=batch, most=MOST_OF_ONE).fetchall()
            for *change, ids, count in rows:
                found[*change, tuple(ids)] += count
        return self._in_words(found), unknown

    def _changes(self) -> str:
        """The question after the changes in a batch."""
        values = {}
        for side in SIDES:
            of_types = OF_TYPES if self._has_types(side) else ""
            values[side] = VALUES.replace("OF_TYPES", of_types).replace("SIDE", side)
        question = CHANGES.replace("BEFORE_VALUES", values["before"])
        return question.replace("AFTER_VALUES", values["after"])

    def _in_words(self, found: Mapping[tuple[Any, ...], int]) -> Counter[Change]:
        """The changes with the names of properties instead of paths' numbers."""
        used = sorted({one for *_, ids in found for one in ids})
        paths = self._run(PATHS_OF, used=used, max_name=MAX_NAME).fetchall()
        names = {one: property_name(path) for one, path, is_place in paths if not is_place}
        changes: Counter[Change] = Counter()
        for (category, level, name, other_category, other_level, ids), count in found.items():
            properties = {names[one] for one in ids if one in names}
            properties |= {CATEGORY} if other_category else set()
            properties |= {LEVEL} if other_level else set()
            moved = bool(ids) and not properties
            if properties or moved:
                changes[(category, level, name), tuple(sorted(properties)), moved] += count
        return changes

    def _kinds(self, question: str, side: str) -> Sequence[Sequence[Any]]:
        found = self._run(question, side).fetchall()
        kinds = Counter({(category, level, name): count for category, level, name, count in found})
        return [[*kind, count] for kind, count in _fewer_kinds(kinds, self.limits.answers).items()]

    # ── how it is asked ──

    def _rows(self, side: str, name: str) -> int:
        """How many rows a file says that it has."""
        file = self._file(side, name)
        if name in EMPTY and not file.exists():
            return 0
        return int(self._scalar("SELECT count(*) FROM read_parquet($file)", file=file))

    def _file(self, side: str, name: str) -> Path:
        return self.folder / f"{side}.{name}.parquet"

    def _has_types(self, side: str) -> bool:
        return self._file(side, TYPE_VALUES).exists()

    def _check_unique(self, table: str) -> None:
        if self._scalar(NOT_UNIQUE.replace("NAME", table)):
            raise _NotCompared("unreadable")

    def _drop(self, table: str) -> None:
        """Make room."""
        self._run(DROP.replace("NAME", table))

    def _scalar(self, statement: str, side: str = "", **values: Any) -> Any:
        row = self._run(statement, side, **values).fetchone()
        return None if row is None else row[0]

    def _run(self, statement: str, side: str = "", **values: Any) -> duckdb.DuckDBPyConnection:
        """Run a statement about a version's tables, with those of the values that it asks for."""
        known: dict[str, Any] = {**values}
        for one in SIDES:
            known |= {f"{one}_eav": self._file(one, "eav.eav")}
            known |= {f"{one}_type_eav": self._file(one, TYPE_VALUES)}
        known |= {"eav": known.get(f"{side}_eav"), "type_eav": known.get(f"{side}_type_eav")}
        text = statement.replace("SIDE", side)
        for word, meaning in SHORT.items():
            text = text.replace(word, meaning)
        asked = {one: known[one] for one in PARAMETER.findall(text)}
        given = {key: str(one) if isinstance(one, Path) else one for key, one in asked.items()}
        return self.tables.execute(text, given) if given else self.tables.execute(text)


def compare(
    tables: duckdb.DuckDBPyConnection,
    folder: Path,
    within_s: float = MAX_CPU_S,
    limits: CompareLimits = CompareLimits(),
) -> Mapping[str, Any]:
    """What differs between two bundles, or `why` nobody can say."""
    until = monotonic() + limits.details_share * within_s
    try:
        return TwoBundles(tables, folder, limits, until).compared()
    except _NotCompared as reason:
        return {"why": reason.why}
    except (duckdb.OutOfMemoryException, MemoryError):
        return {"why": "too_large"}
    except (duckdb.Error, UnicodeDecodeError):
        return {"why": "unreadable"}


def are_ids_new(unmatched_before: int, before: int, unmatched_after: int, after: int) -> bool:
    """Whether so few elements have their counterpart that the ids must be new, not the elements."""
    alike = abs(before - after) <= NEW_IDS_SIZE * max(before, after)
    most_before = unmatched_before > NEW_IDS_SHARE * before
    return alike and most_before and unmatched_after > NEW_IDS_SHARE * after


def property_name(path: str) -> str:
    """What a person calls the property at a path."""
    return (BETWEEN_NAMES.split(path)[-1] or path)[:MAX_NAME]


def _fewer_kinds(kinds: Mapping[Kind, int], most: int) -> Mapping[Kind, int]:
    """At most so many kinds, by saying less of each: no names, then no levels, then nothing."""
    found: Counter[Kind] = Counter()
    for parts in (3, 2, 1, 0):
        found.clear()
        for kind, count in kinds.items():
            found[_shorter(kind, parts)] += count
        if len(found) <= most:
            break
    return found


def _told_changes(changes: Mapping[Change, int], limits: CompareLimits) -> Mapping[str, Any]:
    """The changes as they are told, properties by their number in a list.

    Of too many, it is said less of the kinds, and of properties those that changed most often.
    """
    often: Counter[str] = Counter()
    for (_, properties, _), count in changes.items():
        often.update(dict.fromkeys(properties, count))
    ranked = [name for name, _ in sorted(often.items(), key=lambda one: (-one[1], one[0]))]
    ranks = {name: rank for rank, name in enumerate(ranked)}
    for parts, most in ((3, limits.properties), (2, limits.properties), (1, 64), (1, 8), (0, 1)):
        told: Counter[tuple[Kind, tuple[int, ...], bool]] = Counter()
        for (kind, properties, moved), count in changes.items():
            numbers = sorted(ranks[one] for one in properties)
            kept = [one for one in numbers if one < most] or numbers[:1]
            told[_shorter(kind, parts), tuple(kept), moved] += count
        if len(told) <= limits.answers:
            rows = [[*kind, list(kept), moved, n] for (kind, kept, moved), n in told.items()]
            used = {one for _, kept, _ in told for one in kept}
            return {"changed": rows, "properties": ranked[: max(used, default=-1) + 1]}
    raise _NotCompared("too_large")


def _shorter(kind: Kind, parts: int) -> Kind:
    category, level, name = (one if place < parts else "" for place, one in enumerate(kind))
    return category, level, name


# ── the program ───────────────────────────────────────────────────────────────────────────────

QUESTIONS: Final[Mapping[str, Callable[[duckdb.DuckDBPyConnection, Path, float], Any]]] = {
    "count": count_objects,
    "compare": compare,
}


def locked(folder: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory that reads files of this folder and nothing else, for good."""
    tables = duckdb.connect(":memory:", config=CONFIG)
    tables.execute("SET allowed_directories = [?]", [str(folder)])
    tables.execute("SET enable_external_access = false")
    tables.execute("SET lock_configuration = true")
    return tables


def _scalar(tables: duckdb.DuckDBPyConnection, question: str, *values: object) -> Any:
    row = tables.execute(question, list(values)).fetchone()
    return None if row is None else row[0]


def _limit_resources() -> None:
    if resource is None:
        return
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_SPACE, MAX_ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(folder: str, question: str, within_s: str) -> None:
    """Print the answer to one of QUESTIONS."""
    _limit_resources()
    found = Path(folder).resolve()
    sys.stdout.write(json.dumps(QUESTIONS[question](locked(found), found, float(within_s))))


if __name__ == "__main__":
    main(*sys.argv[1:])
