"""A small studio on both Speckle servers: its people, its projects, and what they did before today.

Names are invented. What happens while one looks on is in days.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sandbox.demo.days import ILSE, MAREN, TOMAS, DemoProject, open_project
from sandbox.speckle import ServerProject, SpeckleServer, User
from sandbox.speckle.drawing import draw_avatar, draw_version
from sandbox.speckle.entities import CONTRIBUTOR, OWNER, REVIEWER

RAVI, HANA = "e57a90c1b4", "f086d2a37e"
LIBRARY: Final = "Lighthouse Library"
OTHERS: Final = {RAVI: "Ravi Menon", HANA: "Hana Ito"}  # ventilation; the client


@dataclass(frozen=True, slots=True)
class PastModel:
    """A model with its versions, the oldest first: their messages, and how old the last one is."""

    name: str
    by: str
    application: str
    objects: int
    age: timedelta
    messages: Sequence[str]


@dataclass(frozen=True, slots=True)
class PastProject:
    """A project besides the main one of a server, with roles by the ids of people."""

    name: str
    description: str
    visibility: str
    roles: dict[str, str]
    models: Sequence[PastModel]


HARBOUR_TOWER: Final = (
    PastModel(
        "architecture/core",
        ILSE,
        "Archicad",
        640,
        timedelta(days=2, hours=3),
        ("Lift lobby as the client saw it", "Stair B mirrored", "Doors to the stairs 1.20 m"),
    ),
    PastModel(
        "mep/ventilation level 1",
        RAVI,
        "Revit2025",
        412,
        timedelta(hours=19),
        ("Main ducts", "Supply duct to grid C", "Fire dampers at the core"),
    ),
    PastModel(
        "structure/foundations",
        MAREN,
        "Tekla Structures",
        286,
        timedelta(days=6),
        ("Piles as tested", "Basement walls 300 mm"),
    ),
)
QUAY_HOUSE: Final = (
    PastModel(
        "structure/timber frame",
        MAREN,
        "revit2025",
        530,
        timedelta(days=1, hours=5),
        ("Frame of two storeys", "One bay more to the east"),
    ),
    PastModel(
        "landscape/quay",
        ILSE,
        "rhino8",
        95,
        timedelta(days=4),
        ("Trees as the city wants them", "Benches", "Paving to the water"),
    ),
)
OLDER_PROJECTS: Final = (
    PastProject(
        LIBRARY,
        "A reading room at the old harbour light",
        "PUBLIC",
        {ILSE: OWNER, MAREN: CONTRIBUTOR},
        (
            PastModel(
                "architecture/reading room",
                ILSE,
                "Archicad",
                310,
                timedelta(days=3),
                ("Gallery", "Reading room under the light"),
            ),
            PastModel(
                "structure/timber roof",
                MAREN,
                "Revit2025",
                188,
                timedelta(days=9),
                ("Rafters", "Purlins every 0.5 m"),
            ),
        ),
    ),
    PastProject(
        "Ferry Terminal",
        "Competition, second stage: for the team alone",
        "PRIVATE",
        {TOMAS: OWNER, RAVI: CONTRIBUTOR},
        (
            PastModel(
                "massing", TOMAS, "Rhino8", 44, timedelta(days=1), ("Three halls", "One long roof")
            ),
        ),
    ),
)
NEWER_PROJECTS: Final = (
    PastProject(
        "Boathouse 3",
        "Workshop and club rooms",
        "PRIVATE",
        {MAREN: OWNER, ILSE: REVIEWER},
        (
            PastModel(
                "interior/club room plan",
                MAREN,
                "rhino8",
                120,
                timedelta(days=5),
                ("Tables for forty", "Bar moved to the slipway"),
            ),
        ),
    ),
    PastProject(
        "Market Hall",
        "Repair of the old market hall",
        "PUBLIC",
        {ILSE: OWNER, TOMAS: CONTRIBUTOR, RAVI: CONTRIBUTOR},
        (
            PastModel(
                "facade/north", ILSE, "archicad28", 260, timedelta(days=2), ("Windows as measured",)
            ),
            PastModel(
                "mep/services",
                RAVI,
                "revit2025",
                375,
                timedelta(days=8),
                ("Ducts below the gallery", "Extract of the kitchens"),
            ),
        ),
    ),
)


def open_harbour_tower(server: SpeckleServer) -> DemoProject:
    """Harbour Tower and two more, on the server with comments."""
    tower = open_project(server, "Harbour Tower", "Mixed-use tower, 24 storeys", "PRIVATE")
    _furnish(tower, HARBOUR_TOWER, OLDER_PROJECTS)
    core = next(one for one in tower.project.versions if one.model.name == "architecture/core")
    at = core.created_at + timedelta(hours=2)
    thread = server.add_comment(
        tower.project,
        [core],
        author=server.users[HANA],
        text="Can the lift lobby be 300 mm wider?",
        at=at,
    )
    server.add_reply(
        thread,
        author=tower.people[ILSE],
        text="Only if the riser moves. I asked Ravi.",
        at=at + timedelta(minutes=50),
    )
    return tower


def open_quay_house(server: SpeckleServer) -> DemoProject:
    """Quay House and two more, on the server with issues."""
    house = open_project(server, "Quay House", "Offices on the quay, timber frame", "PUBLIC")
    _furnish(house, QUAY_HOUSE, NEWER_PROJECTS)
    return house


def _furnish(main: DemoProject, models: Sequence[PastModel], more: Sequence[PastProject]) -> None:
    server = main.server
    server.draw = draw_version
    for user_id, name in OTHERS.items():
        server.add_user(name, id=user_id, avatar=draw_avatar(name))
    server.set_role(main.project, server.users[RAVI], CONTRIBUTOR)
    server.set_role(main.project, server.users[HANA], REVIEWER)
    now = server.now()
    for one in more:
        _add_project(server, one, now)
    for model in models:
        _add_model(server, main.project, model, now)


def _add_project(server: SpeckleServer, past: PastProject, now: datetime) -> None:
    owner, *_ = past.roles
    project = server.add_project(
        past.name,
        owner=server.users[owner],
        description=past.description,
        visibility=past.visibility,
    )
    for user_id, role in past.roles.items():
        server.set_role(project, server.users[user_id], role)
    for model in past.models:
        _add_model(server, project, model, now)


def _add_model(
    server: SpeckleServer, project: ServerProject, past: PastModel, now: datetime
) -> None:
    author: User = server.users[past.by]
    first = now - past.age - timedelta(days=len(past.messages))
    model = server.add_model(project, past.name, author=author, at=first)
    for number, message in enumerate(past.messages):
        version = server.add_version(
            project,
            model,
            author=author,
            message=message,
            application=past.application,
            object_count=past.objects + 7 * number,
            at=first + timedelta(days=number + 1),
        )
        server.render(version)
