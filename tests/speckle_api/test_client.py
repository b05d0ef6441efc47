"""What the client learns from a Speckle server, over real sockets."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain

import pytest

from bot.errors import SpeckleForbidden, SpeckleNotFound, SpeckleScopeMissing, SpeckleTokenRefused
from bot.speckle.events import ModelRef, ResourceRef, SpeckleUser, VersionCreated
from bot.speckle.facts import CommentFacts, PreviousVersion, ReceivedFacts, VersionFacts
from bot.speckle.tokens import SCOPES, TokenScope
from bot.speckle_api.answers import child
from bot.speckle_api.types import CallStatus, Login, Me, ModelChoice, ProjectChoice, SpeckleWebhook
from sandbox.speckle import commit_create_data
from sandbox.speckle.speckle_world import paragraph
from tests.conftest import only_2_31
from tests.speckle_api.conftest import Studio, created

# ── a person and their projects ──


async def test_a_token_tells_whose_it_is(studio: Studio) -> None:
    assert await studio.client.me(studio.login) == Me(studio.ilse.id, "Ilse Brandt")


@pytest.mark.parametrize(
    "scopes",
    [
        SCOPES,
        (TokenScope.STREAMS_READ,),
        (TokenScope.STREAMS_WRITE,),
        (TokenScope.PROFILE_READ,),
        (TokenScope.STREAMS_READ, TokenScope.PROFILE_READ),
        (),
    ],
)
async def test_the_scopes_of_a_token_are_found_out(
    studio: Studio, scopes: tuple[TokenScope, ...]
) -> None:
    assert await studio.client.scopes(studio.limited(*scopes)) == frozenset(scopes)
    assert studio.server.webhooks(studio.tower) == []
    assert studio.tower.comments == []


async def test_a_revoked_token_has_no_scopes_it_is_refused(studio: Studio) -> None:
    assert studio.login.token is not None
    studio.server.revoke(studio.login.token)
    with pytest.raises(SpeckleTokenRefused):
        await studio.client.scopes(studio.login)


async def test_projects_are_found_by_a_part_of_their_name(studio: Studio) -> None:
    studio.server.add_project("Harbour 100%", owner=studio.ilse)
    found = await studio.client.find_projects(studio.login, "tower", 25)
    assert found == [ProjectChoice(studio.tower.id, "Kestrel Tower")]
    assert await studio.client.find_projects(studio.strangers, "tower", 25) == []
    assert len(await studio.client.find_projects(studio.login, "", 25)) == 2
    # `%` is a wildcard for the server, and a letter for whoever typed it.
    names = [found.name for found in await studio.client.find_projects(studio.login, "%", 25)]
    assert names == ["Harbour 100%"]


async def test_models_are_found_by_a_part_of_their_full_name(studio: Studio) -> None:
    studio.server.add_model(studio.tower, "mep")
    found = await studio.client.find_models(studio.login, studio.tower.id, "LEVEL", 25)
    assert found == [ModelChoice(studio.model.id, "structure/level 1")]


async def test_an_owner_may_make_webhooks_and_others_are_told_why_not(studio: Studio) -> None:
    mine = await studio.client.project(studio.login, studio.tower.id)
    assert (mine.name, mine.visibility) == ("Kestrel Tower", "private")
    assert (mine.may_webhooks, mine.why_not, mine.is_public) == (True, None, False)
    studio.server.set_role(studio.tower, studio.bruno, "stream:contributor")
    theirs = await studio.client.project(studio.strangers, studio.tower.id)
    assert not theirs.may_webhooks
    assert theirs.why_not == "ProjectNotEnoughPermissions"


async def test_a_public_project_answers_a_stranger_without_a_token(studio: Studio) -> None:
    hall = studio.server.add_project("Public Hall", owner=studio.ilse, visibility="PUBLIC")
    rights = await studio.client.project(Login(studio.server.url), hall.id)
    assert (rights.is_public, rights.may_webhooks) == (True, False)


async def test_owners_are_named_to_those_who_may_see_the_project(studio: Studio) -> None:
    assert await studio.client.owners(studio.login, studio.tower.id) == ("Ilse Brandt",)
    assert await studio.client.owners(studio.strangers, studio.tower.id) == ()
    studio.server.lose("Stream.collaborators")
    login = studio.limited("streams:read", "users:read")
    assert await studio.client.owners(login, studio.tower.id) == ("Ilse Brandt",)
    assert await studio.client.owners(studio.login, studio.tower.id) == ()


# ── refusals ──


async def test_no_access_no_project_and_no_scope_are_three_things(studio: Studio) -> None:
    client, tower = studio.client, studio.tower.id
    with pytest.raises(SpeckleForbidden):
        await client.project(studio.strangers, tower)
    with pytest.raises(SpeckleForbidden):
        await client.project(Login(studio.server.url), tower)
    with pytest.raises(SpeckleNotFound):
        await client.project(studio.login, "ffffffffff")
    with pytest.raises(SpeckleScopeMissing) as missing:
        await client.webhooks(studio.limited("streams:read"), tower)
    assert missing.value.scope == "streams:write"
    with pytest.raises(SpeckleTokenRefused):
        await client.project(Login(studio.server.url, "5a" * 21), tower)


async def test_a_token_that_cannot_be_one_is_refused_and_asks_nobody(studio: Studio) -> None:
    for token in ("with a space", "new\nline", "🗝", "", "x" * 513):
        with pytest.raises(SpeckleTokenRefused):
            await studio.client.me(Login(studio.server.url, token))
    assert studio.server.requests == []


# ── webhooks ──


async def test_a_webhook_is_made_changed_and_removed(studio: Studio) -> None:
    client, tower = studio.client, studio.tower.id
    made = await client.create_webhook(
        studio.login,
        tower,
        url="https://bot.example/webhook/abc",
        description="Discord: Studio Kestrel",
        triggers=["commit_create", "commit_delete"],
        secret="s3cr3t",
    )
    (hook,) = studio.server.webhooks(studio.tower)
    assert (hook.id, hook.secret, hook.enabled) == (made, "s3cr3t", True)
    (seen,) = await client.webhooks(studio.login, tower)
    assert seen == SpeckleWebhook(
        made,
        "https://bot.example/webhook/abc",
        ("commit_create", "commit_delete"),
        True,
        True,
        "Discord: Studio Kestrel",
    )

    hook.enabled = False
    await client.update_webhook(
        studio.login,
        tower,
        made,
        url="https://bot.example/webhook/def",
        description="d",
        triggers=["branch_create"],
        secret=None,
        enabled=False,
    )
    assert (hook.enabled, hook.secret, hook.triggers) == (False, "s3cr3t", ["branch_create"])

    await client.delete_webhook(studio.login, tower, made)
    assert studio.server.webhooks(studio.tower) == []
    await client.delete_webhook(studio.login, tower, made)
    with pytest.raises(SpeckleNotFound):
        await client.update_webhook(
            studio.login,
            tower,
            made,
            url="x",
            description="",
            triggers=[],
            secret=None,
            enabled=True,
        )


async def test_webhooks_are_for_owners(studio: Studio) -> None:
    studio.server.set_role(studio.tower, studio.bruno, "stream:contributor")
    with pytest.raises(SpeckleForbidden):
        await studio.client.webhooks(studio.strangers, studio.tower.id)
    with pytest.raises(SpeckleForbidden):
        await studio.client.create_webhook(
            studio.strangers, studio.tower.id, url="x", description="", triggers=[], secret="s"
        )
    with pytest.raises(SpeckleForbidden):
        await studio.client.delete_webhook(studio.strangers, studio.tower.id, "ffffffffff")


async def test_a_history_holds_byte_for_byte_what_was_sent(studio: Studio) -> None:
    hook = studio.server.add_webhook(
        studio.tower, "http://127.0.0.1:9/", ["commit_create"], secret="s"
    )
    data = commit_create_data(studio.second) | {"odd": "Müller 🏗️ \u2028 </script>"}
    (failed,) = await studio.server.fire(studio.tower, "commit_create", data, user=studio.ilse)
    studio.server.record(studio.tower, "commit_create", data, status=1)
    history = await studio.client.history(studio.login, studio.tower.id, hook.id, 10, bodies=True)
    assert history.total == 2
    assert [call.status for call in history.calls] == [CallStatus.CALLING, CallStatus.FAILED]
    assert history.calls[1].body == failed.body
    assert history.calls[1].at == failed.last_update


async def test_a_history_can_be_asked_without_bodies(studio: Studio) -> None:
    hook = studio.server.add_webhook(studio.tower, "http://x/", ["commit_create"])
    for _ in range(3):
        studio.server.record(studio.tower, "commit_create", {})
    history = await studio.client.history(studio.login, studio.tower.id, hook.id, 2, bodies=False)
    assert (history.total, [call.body for call in history.calls]) == (3, [None, None])
    least = await studio.client.history(studio.login, studio.tower.id, hook.id, 0, bodies=False)
    assert len(least.calls) == 1


async def test_the_history_of_a_webhook_that_is_gone_is_not_found(studio: Studio) -> None:
    with pytest.raises(SpeckleNotFound):
        await studio.client.history(studio.login, studio.tower.id, "ffffffffff", 10, bodies=False)


async def test_bodies_that_are_too_large_together_come_in_a_shorter_history(studio: Studio) -> None:
    studio.limit(max_answer_bytes=100_000)
    hook = studio.server.add_webhook(studio.tower, "http://x/", ["comment_created"])
    for _ in range(20):
        studio.server.record(studio.tower, "comment_created", {"screenshot": "A" * 15_000})
    history = await studio.client.history(studio.login, studio.tower.id, hook.id, 20, bodies=True)
    assert history.total == 20
    assert len(history.calls) == 5


# ── the activity list ──


@only_2_31
async def test_the_activity_list_comes_oldest_first_from_a_moment_on(studio: Studio) -> None:
    lines = studio.tower.activity
    seen = await studio.client.activity.since(
        studio.login, studio.tower.id, after=lines[1].time, limit=50
    )
    assert seen is not None
    assert [line.id for line in seen] == [line.id for line in lines[1:]]
    assert (seen[-1].action, seen[-1].resource_id) == ("commit_create", studio.second.id)
    assert {line.info for line in seen} == {None}
    whole = await studio.client.activity.with_info(studio.login, studio.tower.id, seen)
    assert [line.id for line in whole] == [line.id for line in seen]
    assert whole[-1].info == commit_create_data(studio.second)
    newest = await studio.client.activity.since(studio.login, studio.tower.id, after=None, limit=2)
    assert newest is not None
    assert [line.id for line in newest] == [line.id for line in lines[-2:]]


@only_2_31
async def test_a_long_activity_list_is_read_in_pages_and_nothing_is_lost(studio: Studio) -> None:
    moment = studio.server.now()
    for n in range(230):
        studio.server.add_activity(
            studio.tower,
            "commit_create",
            f"{n:010x}",
            "commit",
            studio.ilse,
            {},
            "m",
            at=moment + timedelta(milliseconds=n // 7),  # several in one millisecond
        )
    seen = await studio.client.activity.since(
        studio.login, studio.tower.id, after=moment, limit=500
    )
    assert seen is not None
    assert {line.resource_id for line in seen} == {f"{n:010x}" for n in range(230)}
    assert seen == sorted(seen, key=lambda line: line.at)


def add_lines(studio: Studio, sizes: Sequence[int]) -> None:
    """Comments with screenshots of so many characters, the first two at the same time."""
    moment = studio.server.now()
    for n, size in enumerate(sizes):
        studio.server.add_activity(
            studio.tower,
            "comment_created",
            f"{n:010x}",
            "comment",
            studio.ilse,
            {"input": {"screenshot": "x" * size}},
            "m",
            at=moment + timedelta(seconds=max(1, n)),
        )


async def parts(studio: Studio) -> list[list[int | None]]:
    """How large the pictures of the lines are that come together, None for none."""
    moment = studio.server.now()
    lines = await studio.client.activity.since(
        studio.login, studio.tower.id, after=moment, limit=500
    )
    assert lines
    found: list[list[int | None]] = []
    while lines:
        some = await studio.client.activity.with_info(studio.login, studio.tower.id, lines)
        assert [one.id for one in some] == [one.id for one in lines[: len(some)]]
        pictures = [child(one.info, "input", "screenshot") for one in some]
        found.append([None if picture is None else len(picture) for picture in pictures])
        lines = lines[len(some) :]
    return found


@only_2_31
async def test_lines_that_are_too_large_together_come_one_after_the_other(studio: Studio) -> None:
    studio.limit(max_answer_bytes=100_000)
    add_lines(studio, [10, 10, 60_000, 60_000, 60_000, 30])
    found = await parts(studio)
    assert list(chain(*found)) == [10, 10, 60_000, 60_000, 60_000, 30]
    assert len(found) > 2


@only_2_31
async def test_a_line_that_is_too_large_alone_comes_without_its_picture(studio: Studio) -> None:
    studio.limit(max_answer_bytes=100_000)
    add_lines(studio, [10, 10, 200_000, 30])
    assert list(chain(*await parts(studio))) == [10, 10, None, 30]


@only_2_31
async def test_the_activity_list_needs_an_account(studio: Studio) -> None:
    hall = studio.server.add_project("Public Hall", owner=studio.ilse, visibility="PUBLIC")
    with pytest.raises(SpeckleForbidden):
        await studio.client.activity.since(Login(studio.server.url), hall.id, after=None, limit=5)


@only_2_31
async def test_who_resolved_a_thread_is_found_in_the_list_beside_large_pictures(
    studio: Studio,
) -> None:
    studio.limit(max_answer_bytes=100_000)
    thread = studio.server.add_comment(studio.tower, [studio.first], author=studio.ilse, text="?")
    studio.server.archive(thread, by=studio.ilse)
    add_lines(studio, [90_000, 90_000])
    was = partial(
        studio.client.facts.was_archived,
        studio.login,
        studio.tower.id,
        thread.id,
        studio.server.now(),
        user_id=studio.ilse.id,
    )
    assert await was(archived=True)
    assert not await was(archived=False)


# ── what a webhook leaves out ──


@only_2_31
async def test_a_version_s_facts_come_in_two_questions_side_by_side(studio: Studio) -> None:
    studio.server.add_comment(studio.tower, [studio.first], author=studio.ilse, text="open")
    studio.server.add_comment(
        studio.tower, [studio.first], author=studio.ilse, text="done", archived=True
    )
    facts = await studio.client.facts.of_version(
        studio.login, studio.tower.id, created(studio.second)
    )
    assert facts == VersionFacts(
        previous=PreviousVersion(studio.first.id, studio.first.created_at),
        open_threads=1,
        made_at=studio.second.created_at,
        application="revit",
        author=SpeckleUser(studio.ilse.id, "Ilse Brandt"),
        model=ModelRef(studio.model.id, "structure/level 1"),
        message=studio.second.message,
        object_id=studio.second.object_id,
        parents=facts.parents,
    )
    asked = sorted(asked.operation for asked in studio.server.requests)
    assert asked == ["OpenIssues", "OpenThreads", "VersionFacts"]


@pytest.mark.parametrize("hang", [True, False], ids=["hangs", "refused"])
@only_2_31
async def test_a_version_s_facts_come_without_the_number_of_threads(
    studio: Studio, hang: bool
) -> None:
    faults = studio.server.faults
    faults.when = lambda operation: operation == "OpenThreads"
    faults.hang, faults.status = hang, None if hang else 502
    facts = await studio.client.facts.of_version(
        studio.login, studio.tower.id, created(studio.second), within_s=3.0
    )
    assert (facts.application, facts.open_threads) == ("revit", None)


async def test_newer_versions_do_not_change_which_one_came_before(studio: Studio) -> None:
    for _ in range(3):
        studio.server.add_version(studio.tower, studio.model, author=studio.ilse)
    facts = await studio.client.facts.of_version(
        studio.login, studio.tower.id, created(studio.second)
    )
    assert facts.previous is not None
    assert facts.previous.id == studio.first.id
    first = await studio.client.facts.of_version(
        studio.login, studio.tower.id, created(studio.first)
    )
    assert first.previous is None


async def test_an_old_server_s_event_without_object_and_model_gets_what_can_be_had(
    studio: Studio,
) -> None:
    facts = await studio.client.facts.of_version(
        studio.login, studio.tower.id, VersionCreated(studio.second.id)
    )
    assert (facts.application, facts.open_threads) == ("revit", None)


async def test_a_version_that_is_gone_is_not_found(studio: Studio) -> None:
    studio.server.remove_version(studio.second)
    with pytest.raises(SpeckleNotFound):
        await studio.client.facts.of_version(studio.login, studio.tower.id, created(studio.second))


@only_2_31
async def test_a_reply_s_facts_are_its_thread_s(studio: Studio) -> None:
    thread = studio.server.add_comment(
        studio.tower, [studio.second], author=studio.ilse, text="Beam clashes\nwith the duct"
    )
    reply = studio.server.add_reply(thread, author=studio.ilse, text="moved it")
    for comment in (thread, reply):
        facts = await studio.client.facts.of_comment(studio.login, studio.tower.id, comment.id)
        assert facts == CommentFacts(
            thread.id,
            "Beam clashes",
            (ResourceRef(studio.model.id, studio.second.id),),
            is_reply=comment is reply,
            made_at=comment.created_at,
            author=SpeckleUser(studio.ilse.id, "Ilse Brandt"),
            models=(ModelRef(studio.model.id, "structure/level 1"),),
        )


@only_2_31
async def test_a_thread_s_first_line_is_not_run_together_with_the_next(studio: Studio) -> None:
    doc = paragraph("x") | {
        "content": [
            {"type": "paragraph"},
            {
                "type": "paragraph",
                "content": [
                    {"type": "mention", "attrs": {"label": "Ilse Brandt"}},
                    {"type": "text", "text": " look,  "},
                    {"type": "text", "text": "here", "marks": [{"type": "bold"}]},
                    {"type": "hardBreak"},
                    {"type": "text", "text": "not this"},
                ],
            },
        ]
    }
    thread = studio.server.add_comment(studio.tower, [studio.second], author=studio.ilse, doc=doc)
    facts = await studio.client.facts.of_comment(studio.login, studio.tower.id, thread.id)
    assert facts is not None
    assert facts.first_line == "@Ilse Brandt look, here"


@only_2_31
async def test_a_comment_of_another_project_is_not_found(studio: Studio) -> None:
    other = studio.server.add_project("Harbour", owner=studio.ilse)
    thread = studio.server.add_comment(other, [], author=studio.ilse, text="elsewhere")
    for comment_id in (thread.id, "ffffffffff"):
        with pytest.raises(SpeckleNotFound):
            await studio.client.facts.of_comment(studio.login, studio.tower.id, comment_id)


@only_2_31
async def test_a_received_version_is_found_in_the_activity_list(studio: Studio) -> None:
    studio.server.set_role(studio.tower, studio.bruno, "stream:reviewer")
    now = datetime.now(UTC)
    studio.server.receive(studio.first, user=studio.bruno, at=now - timedelta(minutes=3))
    studio.server.receive(studio.second, user=studio.bruno, at=now)
    studio.server.receive(studio.first, user=studio.ilse, at=now)
    facts = await studio.client.facts.of_received(
        studio.login, studio.tower.id, studio.bruno.id, now + timedelta(seconds=1)
    )
    model = ModelRef(studio.model.id, "structure/level 1")
    assert facts == ReceivedFacts(studio.second.id, model, "beams")
    earlier = await studio.client.facts.of_received(
        studio.login, studio.tower.id, studio.bruno.id, now - timedelta(minutes=3)
    )
    assert earlier == ReceivedFacts(studio.first.id, model, "grid")
    long_ago = now - timedelta(days=1)
    assert (
        await studio.client.facts.of_received(
            studio.login, studio.tower.id, studio.bruno.id, long_ago
        )
        is None
    )
    studio.server.remove_version(studio.second)
    gone = await studio.client.facts.of_received(
        studio.login, studio.tower.id, studio.bruno.id, now
    )
    assert gone == ReceivedFacts(studio.second.id)
