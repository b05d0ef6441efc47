"""/latest, /versions and /compare: the whole bot between two real servers."""

from datetime import timedelta
from typing import Any

from bot.app import App
from bot.model import SubscriptionState
from bot.speckle.subscription_options import SubscriptionOptions
from sandbox.discord import InteractionView, SandboxMember
from sandbox.speckle import Version
from tests.pipeline.conftest import StartBot, Studio
from tests.pipeline.test_enrichment import Site, follow, site, start

__all__ = ["site", "start"]


def read(answer: InteractionView) -> str:
    """All that an answer shows, and what can be pressed on it."""
    parts = [answer.content or ""]
    for embed in answer.embeds:
        parts += [embed.get("author", {}).get("name", ""), embed.get("title", "")]
        parts += [embed.get("description", "")]
        parts += [f"{one['name']}: {one['value']}" for one in embed.get("fields", ())]
        parts += [embed.get("footer", {}).get("text", "")]
    for row in answer.components:
        for part in row["components"]:
            options = [one["label"] for one in part.get("options", ())]
            parts.append(f"[{part.get('label') or options}]")
    return "\n".join(part for part in parts if part)


async def typed(
    studio: Studio, name: str, who: SandboxMember | None = None, **options: Any
) -> InteractionView:
    answer = await studio.sandbox.command(
        studio.guild, studio.structure, who or studio.maren, name, **options
    )
    return await answer.settled(30.0)


def versions(site: Site, count: int) -> list[Version]:
    """Versions of the first model, a minute apart."""
    begun = site.server.now() - timedelta(hours=2)
    return [
        site.version(f"Slab {n + 1}", at=begun + timedelta(minutes=n), object_count=3)
        for n in range(count)
    ]


def address(site: Site) -> str:
    return f"{site.server.url}/projects/{site.tower.id}"


async def test_who_sees_the_channel_looks_versions_up_as_its_account_sees_them(
    studio: Studio, site: Site, start: StartBot
) -> None:
    made = versions(site, 23)
    site.server.render(made[-1])
    tobias = studio.guild.add_member("Tobias Lindqvist")
    async with start() as app:
        unnamed = read(await typed(studio, "latest", tobias))
        refused = read(await typed(studio, "latest", tobias, project=address(site)))
        await follow(app, studio, site, studio.structure)
        newest = await typed(studio, "latest", tobias)
        listed = await typed(studio, "versions", tobias, model="structure/level 1")
        first_page = read(listed)
        for _ in range(2):
            await (await studio.sandbox.press(listed, "Older", tobias)).settled()
        last_page = read(listed)
        await (await studio.sandbox.select(listed, "", ["#1 · Slab 1"], tobias)).settled()
        oldest = read(listed)
        near = read(await typed(studio, "versions", tobias, model="level"))
        offered = await studio.sandbox.autocomplete(
            studio.guild, studio.structure, tobias, "versions", "model", "LEV"
        )
        projects = await studio.sandbox.autocomplete(
            studio.guild, studio.structure, tobias, "latest", "project", "tow"
        )
    assert "follows no Speckle project" in unnamed
    assert "You have linked none there. Type `/link`" in refused
    assert newest.ephemeral
    assert [one.description for one in newest.files] == [
        "3D view of the model in this version: structure/level 1"
    ]
    said = read(newest)
    assert "Ilse Brandt\n#23 · structure/level 1\n> Slab 23\nPublished: <t:" in said
    assert "Application: Revit\nObjects: 3\n" in said
    assert f"Version before: [#22 · Slab 22]({address(site)}/models/" in said
    assert "[Open in Speckle]\n[All versions]" in said
    assert first_page.count("· Ilse Brandt · Revit · [Slab ") == 10
    assert "23 versions · page 1 of 3" in first_page
    assert "[Slab 3](" in last_page
    assert "page 3 of 3" in last_page
    assert "[Older]" not in last_page
    assert "What changed: Nothing: it is the model's first version." in oldest
    assert "Did you mean `structure/level 1`?" in near
    assert [one["value"] for one in offered] == ["structure/level 1"]
    assert [one["value"] for one in projects] == [address(site)]


async def options(app: App, studio: Studio, **wanted: tuple[str, ...]) -> None:
    """What the channel shows from now on; what was agreed to stays as it is."""
    (there,) = await app.storage.read(lambda tx: tx.subscriptions.of_channel(studio.structure.id))
    await app.storage.write(
        lambda tx: tx.subscriptions.upsert(
            there.hook_id,
            there.channel_id,
            SubscriptionOptions(**wanted),
            there.created_by,
            there.account_id,
            there.consent,
        )
    )


async def test_a_channel_tells_of_what_it_shows_and_elsewhere_ones_own_account_reads(
    studio: Studio, site: Site, start: StartBot
) -> None:
    secret = site.server.add_model(site.tower, "secret/merger")
    versions(site, 2)
    site.server.add_version(site.tower, secret, author=site.ilse, message="the plan")
    tobias = studio.guild.add_member("Tobias Lindqvist")
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        await options(app, studio, models=("structure/**",))
        newest = read(await typed(studio, "latest", tobias))
        hidden = [
            read(await typed(studio, name, tobias, model=model))
            for name in ("latest", "versions")
            for model in ("secret/merger", secret.id, f"{address(site)}/models/{secret.id}")
        ]
        absent = read(await typed(studio, "versions", tobias, model="no such"))
        own = read(await typed(studio, "versions", model="secret/merger"))  # Maren linked Ilse's
        offered = await studio.sandbox.autocomplete(
            studio.guild, studio.structure, tobias, "versions", "model", "merger"
        )
        await options(app, studio, ignore_authors=("Ilse Brandt",))
        ignored = read(await typed(studio, "latest", tobias))
        await options(app, studio, events=("models",))
        no_versions = read(await typed(studio, "latest", tobias))
        await options(app, studio)
        studio.structure.deny(tobias, "read_message_history")
        no_history = read(await typed(studio, "latest", tobias))
        (there,) = await app.storage.read(
            lambda tx: tx.subscriptions.of_channel(studio.structure.id)
        )
        await app.storage.write(
            lambda tx: tx.subscriptions.set_state(there.id, SubscriptionState.PAUSED)
        )
        studio.structure.allow(tobias, "read_message_history")
        paused = read(await typed(studio, "latest", tobias))
        elsewhere = await studio.sandbox.command(
            studio.guild, studio.facade, studio.maren, "latest", project=address(site)
        )
        by_own_account = read(await elsewhere.settled())
    assert "structure/level 1\n> Slab 2" in newest
    for one in [*hidden, absent, *(str(one) for one in offered)]:
        assert "the plan" not in one
    assert {one.partition("`")[0] for one in hidden if "no model" in one} == {
        absent.partition("`")[0]
    }
    assert "the plan" in own
    assert "Nothing of that project is read for you" in no_versions
    assert "Nothing of that project is read for you" in no_history
    assert "none that this channel shows" in ignored
    assert "Nothing of that project is read for you" in paused
    assert "the plan" in by_own_account
    assert elsewhere.ephemeral


async def test_what_is_pressed_after_a_restart_is_answered_by_who_may_read_then(
    studio: Studio, site: Site, start: StartBot
) -> None:
    versions(site, 12)
    tobias = studio.guild.add_member("Tobias Lindqvist")
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        listed = await typed(studio, "versions", tobias, model="structure/level 1")
    async with start() as app:
        await (await studio.sandbox.press(listed, "Older", tobias)).settled()
        assert "page 2 of 2" in read(listed)
        site.server.set_role(site.tower, site.ilse, None)
        refused = await (await studio.sandbox.press(listed, "Newer", tobias)).settled()
        (said,) = [one.content for one in refused.followups] or [refused.content]
        assert "Nothing of that project is read for you" in said
        assert "page 2 of 2" in read(listed)
