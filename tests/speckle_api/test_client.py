"""What the client learns from a Speckle server, over real sockets."""

import pytest

from bot.errors import SpeckleForbidden, SpeckleNotFound, SpeckleScopeMissing, SpeckleTokenRefused
from bot.speckle.tokens import SCOPES, TokenScope
from bot.speckle_api.types import CallStatus, Login, Me, ModelChoice, ProjectChoice, SpeckleWebhook
from sandbox.speckle import commit_create_data
from tests.speckle_api.conftest import Studio

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
