"""Events of issues only hint at what happened: each change is shown once, whatever they carry."""

import asyncio
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select

from bot.app import App
from bot.db.tables import outbox
from bot.model import Hook, HookKind, SubscriptionState
from bot.services.linking import PasteToken
from bot.speckle.event_subjects import PLAIN
from bot.speckle.subscription_options import SubscriptionOptions
from bot.timing import utc_now
from sandbox.speckle import ServerProject, SpeckleServer, User
from sandbox.speckle.issues import IssueDataShape, ServerIssue
from sandbox.speckle.release import SPECKLE_4_AS_ANNOUNCED
from tests.pipeline.conftest import StartBot, Studio
from tests.pipeline.tower import answer
from tests.waiting import until

TRIGGERS = ("issue_created", "issue_updated", "issue_reply_created", "issue_deleted")
STRUCTURE, FACADE = "structure/level 1", "facade/east"


@dataclass
class Site:
    """A project with issues, its owner and a reviewer."""

    server: SpeckleServer
    ilse: User
    bea: User
    tower: ServerProject

    def issue(self, title: str = "Beam clashes", on: int = 0, **more: Any) -> ServerIssue:
        resources = self.tower.models[on].id
        issue, _ = self.server.add_issue(
            self.tower, title, author=self.ilse, resources=resources, **more
        )
        return issue

    async def opened(self, issue: ServerIssue) -> None:
        await self.fire("issue_created", self.server._data(issue, issue.id), self.ilse)

    async def fire(self, trigger: str, data: Mapping[str, Any], by: User) -> None:
        entries = await self.server.fire(self.tower, trigger, data, user=by)
        assert [entry.status for entry in entries] == [2] * len(entries)
        assert entries


@pytest.fixture(params=IssueDataShape, ids=lambda shape: str(shape.value))
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    async with SpeckleServer.start(release=SPECKLE_4_AS_ANNOUNCED) as server:
        server.issue_data = request.param
        ilse, bea = server.add_user("Ilse Brandt"), server.add_user("Bea Halloran")
        tower = server.add_project("Kestrel Tower", owner=ilse)
        server.set_role(tower, bea, "stream:reviewer")
        for name in (STRUCTURE, FACADE):
            server.add_model(tower, name)
        yield Site(server, ilse, bea, tower)


@pytest.fixture
def start(start_bot: StartBot, site: Site) -> StartBot:
    def started(*, enrich_deadline_s: float = 5.0, **more: Any) -> Any:
        speckle = {"enrich_deadline_s": enrich_deadline_s}
        return start_bot(speckle_servers=(site.server.url,), speckle=speckle, **more)

    return started


async def follow(
    app: App, studio: Studio, site: Site, *, linked: bool = True, models: Sequence[str] = ()
) -> Hook:
    """#structure follows the project by hand, with Maren's account unless it is a stranger's."""
    url, channel = site.server.url, studio.structure
    hook = await app.storage.write(
        lambda tx: tx.hooks.create(
            studio.guild.id, url, site.tower.id, HookKind.OWN, studio.maren.id, channel.id
        )
    )
    account_id = None
    if linked:
        request = await app.linking.start_link(studio.maren.id, url)
        assert isinstance(request, PasteToken)
        token = site.server.token(site.ilse)
        account = await app.linking.link_by_token(studio.maren.id, request.nonce, token)
        account_id = account.id
    options = SubscriptionOptions(models=tuple(models))
    consent = answer(studio.maren.id, site.tower.name, options=options) if linked else None
    await app.storage.write(
        lambda tx: tx.subscriptions.upsert(
            hook.id, channel.id, options, studio.maren.id, account_id, consent
        )
    )
    site.server.add_webhook(
        site.tower,
        f"http://127.0.0.1:{app.port}/webhooks/{hook.key}",
        TRIGGERS,
        secret=hook.secrets[0],
    )
    return hook


async def subjects(app: App) -> list[str | None]:
    """What the cards show of issues, in their order; None where nothing more is known."""
    statement = select(outbox.c.subject).order_by(outbox.c.id)
    found = await app.storage.read(lambda tx: tx.session.scalars(statement).all())
    return [None if PLAIN in one else one for one in found]


async def cards(app: App) -> str:
    """All cards, as they are stored."""
    return str(await app.storage.read(lambda tx: tx.session.scalars(select(outbox.c.card)).all()))


async def done(app: App, count: int) -> None:
    """So many events have been dealt with."""

    async def there() -> bool:
        row = await app.storage.read(lambda tx: tx.inbox.get(count))
        return row is not None and row.finished_at is not None

    await until(there)


async def test_an_issue_its_reply_and_its_change_are_each_shown_once(
    studio: Studio, start: StartBot, site: Site
) -> None:
    async with start() as app:
        await follow(app, studio, site)
        issue = site.issue()
        await site.opened(issue)
        await done(app, 1)
        data = site.server.reply_to_issue(issue, author=site.bea, text="Moved it")
        await site.fire("issue_reply_created", data, site.bea)
        await done(app, 2)
        data = site.server.update_issue(issue, by=site.bea, status="resolved")
        await site.fire("issue_updated", data, site.bea)
        await done(app, 3)
        await site.fire("issue_updated", data, site.bea)
        await done(app, 4)
        created, replied, changed = await subjects(app)
    assert created == f"issue_created:{issue.id}"
    assert replied == f"issue_reply_created:{issue.replies[0].id}"
    assert changed is not None
    assert changed.startswith(f"issue_updated:{issue.id}:")


async def test_changes_of_one_second_are_shown_once_each_and_none_is_left_out(
    studio: Studio, start: StartBot, site: Site
) -> None:
    """Where the events say which issue it is; else the nearest change is the one."""
    async with start() as app:
        await follow(app, studio, site)
        issue = site.issue()
        now = utc_now()
        changes: list[dict[str, Any]] = [
            {"title": "Beam clashes with duct"},
            {"status": "readyForReview"},
            {"priority": "high"},
        ]
        fired = []
        for number, change in enumerate(changes):
            at = now + timedelta(milliseconds=100 * number)
            fired.append(site.server.update_issue(issue, by=site.ilse, at=at, **change))
        await asyncio.gather(*(site.fire("issue_updated", one, site.ilse) for one in fired))
        await done(app, 3)
        shown = await subjects(app)
        kept = await app.storage.read(lambda tx: tx.session.scalars(select(outbox.c.card)).all())
    assert len(set(shown)) == len(shown) <= 3
    if site.server.issue_data is IssueDataShape.NOTHING:
        return
    fields = [name for one in kept for name, *_ in one["fields"]]
    assert sorted(one for one in fields if one in ("Status", "Priority")) == ["Priority", "Status"]
    last = issue.activities[-1].created_at
    assert last.isoformat(timespec="milliseconds") in str(shown)


async def test_a_change_is_not_lost_where_the_server_no_longer_says_what_was_changed(
    studio: Studio, start: StartBot, site: Site
) -> None:
    async with start() as app:
        await follow(app, studio, site)
        issue = site.issue()
        data = site.server.update_issue(issue, by=site.ilse, status="resolved")
        await site.fire("issue_updated", data, site.ilse)
        await done(app, 1)
        site.server.lose("Issue.activities")
        data = site.server.update_issue(issue, by=site.ilse, priority="high")
        await site.fire("issue_updated", data, site.ilse)
        await done(app, 2)
        shown = await subjects(app)
    assert len(shown) == 2
    assert shown[1] is None


async def test_what_two_people_change_at_once_are_two_cards(
    studio: Studio, start: StartBot, site: Site
) -> None:
    async with start() as app:
        await follow(app, studio, site)
        issue = site.issue()
        both = []
        both.append((site.ilse, site.server.update_issue(issue, by=site.ilse, status="resolved")))
        both.append((site.bea, site.server.update_issue(issue, by=site.bea, priority="low")))
        await asyncio.gather(*(site.fire("issue_updated", data, by) for by, data in both))
        await done(app, 2)
        shown = await subjects(app)
    assert len(set(shown)) == len(shown) == 2


async def test_after_a_restart_only_what_changed_since_is_shown(
    studio: Studio, start: StartBot, site: Site
) -> None:
    async with start() as app:
        await follow(app, studio, site)
        issue = site.issue()
        first = site.server.update_issue(issue, by=site.ilse, status="resolved")
        await site.fire("issue_updated", first, site.ilse)
        await done(app, 1)
    async with start() as app:
        for webhook in site.tower.webhooks:
            webhook.url = f"http://127.0.0.1:{app.port}/{webhook.url.split('/', 3)[3]}"
        await asyncio.sleep(0.01)  # another millisecond
        second = site.server.update_issue(issue, by=site.ilse, priority="high")
        await site.fire("issue_updated", second, site.ilse)

        async def both() -> list[str | None] | None:  # one may be held until Speckle answers
            found = await subjects(app)
            return found if len(found) == 2 else None

        before, after = await until(both, 30.0)  # what is held is tried again after 15 s
    assert before is not None
    assert after is not None
    assert before < after


async def test_an_event_that_was_made_up_shows_no_old_issue(
    studio: Studio, start: StartBot, site: Site
) -> None:
    """Whoever knows the secret can name any issue: one of last week is not shown for that."""
    old = utc_now() - timedelta(days=7)
    async with start() as app:
        await follow(app, studio, site)
        issue = site.issue("Secret atrium", at=old)
        site.server.update_issue(issue, by=site.ilse, at=old, status="resolved")
        site.server.reply_to_issue(issue, author=site.ilse, text="Secret reply", at=old)
        for trigger in TRIGGERS[:3]:
            await site.fire(trigger, site.server._data(issue, issue.id), site.ilse)
        await done(app, 3)
        assert await subjects(app) == [None] * 3
        shown = str([one.embeds for one in studio.sandbox.messages(studio.structure.id)])
        assert "ecret" not in shown


async def test_an_issue_of_another_project_is_not_shown(
    studio: Studio, start: StartBot, site: Site
) -> None:
    other = site.server.add_project("Secret project", owner=site.ilse)
    secret, _ = site.server.add_issue(other, "Secret atrium", author=site.ilse)
    async with start() as app:
        await follow(app, studio, site)
        await site.fire("issue_created", {"issueId": secret.id}, site.ilse)
        await done(app, 1)
        assert await subjects(app) == [None]


async def test_a_model_filter_judges_issues_where_an_account_knows_their_models(
    studio: Studio, start: StartBot, site: Site
) -> None:
    async with start() as app:
        await follow(app, studio, site, models=["facade/**"])
        inside, outside = site.issue("inside", on=1), site.issue("outside", on=0)
        for issue in (outside, inside):
            await site.opened(issue)
        await done(app, 2)
        shown = await subjects(app)
    if site.server.issue_data is not IssueDataShape.NOTHING:
        assert shown == [f"issue_created:{inside.id}"]
    assert f"issue_created:{outside.id}" not in shown


async def test_without_an_account_the_card_is_plain_and_in_its_channel(
    studio: Studio, start: StartBot, site: Site
) -> None:
    async with start() as app:
        hook = await follow(app, studio, site, linked=False, models=["facade/**"])
        await site.opened(site.issue("Secret atrium"))
        await done(app, 1)
        assert await subjects(app) == [None]
        (one,) = await app.storage.read(lambda tx: tx.subscriptions.of_hook(hook.id))
        assert one.state is SubscriptionState.ACTIVE
        shown = str([one.embeds for one in studio.sandbox.messages(studio.structure.id)])
        assert "Secret" not in shown


async def test_an_issue_on_several_models_names_only_those_that_a_channel_follows(
    studio: Studio, start: StartBot, site: Site
) -> None:
    async with start() as app:
        await follow(app, studio, site, models=["structure/**"])
        issue = site.issue()
        issue.resources = ",".join([*(model.id for model in site.tower.models), "$facade/secret"])
        await site.opened(issue)
        await done(app, 1)
        shown = await cards(app)
        assert STRUCTURE in shown
        assert "facade" not in shown


async def test_nor_does_a_card_that_is_filled_in_later(
    studio: Studio, start: StartBot, site: Site
) -> None:
    async with start(enrich_deadline_s=0.3) as app:
        await follow(app, studio, site, models=["structure/**"])
        await site.opened(site.issue())
        await done(app, 1)
        await asyncio.sleep(0.01)  # another millisecond
        site.server.faults.hang = True
        issue = site.issue("on both")
        issue.resources = ",".join([*(model.id for model in site.tower.models), "$facade/secret"])
        await site.opened(issue)
        await done(app, 2)
        assert "on both" not in await cards(app)
        site.server.faults.clear()

        async def filled_in() -> bool:
            return "on both" in await cards(app)

        await until(filled_in)
        assert "facade" not in await cards(app)


async def test_the_first_picture_among_a_reply_s_files_is_shown(
    studio: Studio, start: StartBot, site: Site
) -> None:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 40, 40)).save(out, "PNG")
    site.tower.blobs |= {"b1": b"%PDF-1.7", "b2": out.getvalue()}
    files = [
        {"id": "b1", "fileName": "plan.pdf", "fileSize": 8},
        {"id": "b2", "fileName": "Site.PNG", "fileSize": len(out.getvalue())},
    ]
    async with start() as app:
        await follow(app, studio, site)
        issue = site.issue()
        data = site.server.reply_to_issue(issue, author=site.bea, text="See", attachments=files)
        await site.fire("issue_reply_created", data, site.bea)

        async def shown() -> Any:
            return next((m for m in studio.sandbox.messages(studio.structure.id) if m.embeds), None)

        message = await until(shown)
        (picture,) = [one.name for one in message.files if one.name.startswith("file-")]
        assert message.embeds[0]["image"]["url"].endswith(picture)


async def test_a_file_that_only_its_name_calls_a_picture_is_not_shown(
    studio: Studio, start: StartBot, site: Site
) -> None:
    site.tower.blobs["b1"] = b"<script>no picture</script>"
    files = [{"id": "b1", "fileName": "site.png", "fileSize": 8}]
    async with start() as app:
        await follow(app, studio, site)
        data = site.server.reply_to_issue(
            site.issue(), author=site.bea, text="See", attachments=files
        )
        await site.fire("issue_reply_created", data, site.bea)
        await done(app, 1)
        assert len(await subjects(app)) == 1
        messages = studio.sandbox.messages(studio.structure.id)
        assert not any(one.name.startswith("file-") for m in messages for one in m.files)
