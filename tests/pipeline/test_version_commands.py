"""/latest, /versions and /compare: the whole bot between two real servers."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import Any

from bot.app import App
from bot.model import SubscriptionState
from bot.speckle.subscription_options import SubscriptionOptions
from sandbox.discord import InteractionView, SandboxMember
from sandbox.speckle import Version
from sandbox.speckle.made_bundles import as_bundle, put_bundle
from sandbox.speckle.made_models import MadeElement, made_model
from sandbox.speckle.made_trees import as_tree
from tests.conftest import only_2_31
from tests.pipeline.conftest import StartBot, Studio
from tests.pipeline.test_enrichment import Site, cards, follow, labels_of, site, start
from tests.waiting import until

__all__ = ["site", "start"]

MODEL = "structure/level 1"


def on(version: Version) -> str:
    """A version as addresses have it."""
    return f"{version.model.id}@{version.id}"


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
    assert "[Open in Speckle]\n[Compare]\n[All versions]" in said
    assert first_page.count("· Ilse Brandt · Revit · [Slab ") == 10
    assert "23 versions · page 1 of 3" in first_page
    assert "[Slab 3](" in last_page
    assert "page 3 of 3" in last_page
    assert "[Older]" not in last_page
    assert "What changed: It is the model's first version." in oldest
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
        thread = studio.structure.add_thread("slabs")
        inside = await studio.sandbox.command(studio.guild, thread, tobias, "latest")
        in_thread = read(await inside.settled())
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
    assert "structure/level 1\n> Slab 2" in in_thread
    assert "the plan" in own
    assert "it shows no versions" in no_versions
    assert "you have no *Read Message History* there" in no_history
    assert "none that this channel shows" in ignored
    assert "the channel is paused" in paused
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


def made(site: Site, content: Sequence[MadeElement], ago_min: int, message: str) -> Version:
    """A version that consists of these elements, as the server's connectors send it."""
    tree = None if site.server.has_bundles else as_tree(content)
    site.tower.objects.update({} if tree is None else tree.objects)
    version = site.server.add_version(
        site.tower,
        site.tower.models[0],
        author=site.ilse,
        message=message,
        object_id=None if tree is None else tree.root,
        at=site.server.now() - timedelta(minutes=ago_min),
    )
    return put_bundle(site.server, version, as_bundle(content)) if tree is None else version


async def test_two_versions_are_compared_in_full_with_pages_a_table_and_both_pictures(
    studio: Studio, site: Site, start: StartBot
) -> None:
    before, after = made_model(200)
    first, second = made(site, before, 30, "Openings"), made(site, after, 20, "Checked")
    new = [
        replace(one, id=f"new {n}", name=f"Beam of type {n}", hosted=())
        for n, one in enumerate([*after, *after])
    ]
    made(site, [*after, *new], 10, "Beams")
    for one in (first, second):
        site.server.render(one)
    tobias = studio.guild.add_member("Tobias Lindqvist")
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        shown = await typed(studio, "compare", tobias, a=first.id, b=second.id)
        table = await studio.sandbox.press(shown, "As a table (CSV)", tobias)
        (content,) = [one.content.decode() for one in (await table.settled()).files]
        back = read(await typed(studio, "compare", tobias, a="#2", b="openings", model=MODEL))
        long = await typed(studio, "compare", tobias)
        asked = len(site.server.requests)
        pages = [read(long)]
        while long.offers("Next"):
            await (await studio.sandbox.press(long, "Next", tobias)).settled()
            pages.append(read(long))
        streams = [one for one in site.server.requests[asked:] if "object-stream" in one.path]
        lone = read(await typed(studio, "compare", tobias, b=f"{address(site)}/models/{on(first)}"))
        same = read(await typed(studio, "compare", tobias, a="checked", b=second.id))
        several = read(await typed(studio, "compare", tobias, a="ilse"))
        offered = await studio.sandbox.autocomplete(
            studio.guild, studio.structure, tobias, "compare", "a", "#2", model=MODEL
        )
        newest = await typed(studio, "latest", tobias)
        pressed = await (await studio.sandbox.press(newest, "Compare", tobias)).settled()
    assert shown.ephemeral
    said, in_bundles = read(shown), site.server.has_bundles
    assert f"**+2 −3 ~{6 if in_bundles else 10}** · " in said
    moved = "" if in_bundles else "\nmoved 4"  # what only moved cannot be seen in a bundle
    assert f"Changed, by property: *Comments* 5\ncategory 1{moved}\n" in said
    assert "`+2 −1` · Basic Wall 200 · L1" in said
    assert ("geometry is not compared" in said) is in_bundles
    assert [one["url"] for one in shown.embeds] == [shown.embeds[0]["url"]] * 2
    assert ("#diff=" in shown.embeds[0]["url"]) is not in_bundles
    assert [one.description for one in shown.files] == [
        "3D view of the model in this version, before the changes",
        "3D view of the model in this version, after the changes",
    ]
    assert "added,Walls,L1,Basic Wall 200,2,,\r\n" in content
    assert "changed,Doors,L1,Double Glass 1800,2,Comments,\r\n" in content
    assert "**+3 −2 ~" in back
    assert len(pages) > 3
    assert sum(one.count("Beam of type ") for one in pages) == len(new)
    assert "page 1 of" in pages[0]
    assert streams == []  # it was kept
    assert "**There is nothing to compare it with:** it is the model's first version" in lone
    assert "one and the same version" in same
    assert "is said of several" in several
    assert [(one["value"], one["name"][:5]) for one in offered] == [(second.id, "#2 · ")]
    assert read(pressed).startswith("What changed: structure/level 1\nFrom [Checked](")


async def test_who_sees_a_card_compares_its_version_there_also_after_a_restart(
    studio: Studio, site: Site, start: StartBot
) -> None:
    before, after = made_model(200)
    made(site, before, 30, "Openings")
    tobias = studio.guild.add_member("Tobias Lindqvist")
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        await site.publish(made(site, after, 20, "Checked"))
        (card,) = await cards(studio, studio.structure)
        await until(lambda: "Compare" in labels_of(card))
    async with start() as app:
        pressed = await studio.sandbox.press(card, "Compare", tobias)
        said = read(await pressed.settled(30.0))
        await options(app, studio, models=("facade/**",))
        hidden = read(await (await studio.sandbox.press(card, "Compare", tobias)).settled())
    assert pressed.ephemeral
    assert "**+2 −3 ~" in said
    assert "From [Openings](" in said
    assert "There is no version `" in hidden
    assert "Openings" not in hidden


@only_2_31
async def test_a_server_has_two_comparisons_at_once_and_none_keeps_the_bot_from_stopping(
    studio: Studio, site: Site, start: StartBot
) -> None:
    before, after = made_model(50)
    kept = made(site, before, 30, "a"), made(site, after, 20, "b")
    other = made(site, after[1:], 10, "c")

    async def begin(a: Version, b: Version) -> InteractionView:
        return await studio.sandbox.command(
            studio.guild, studio.structure, studio.maren, "compare", a=a.id, b=b.id
        )

    async with start() as app:
        await follow(app, studio, site, studio.structure)
        known = await typed(studio, "compare", a=kept[0].id, b=kept[1].id)
        site.server.faults.path = "/api/v2/projects/"
        site.server.faults.hang = True
        waiting = [await begin(kept[0], other), await begin(kept[1], other)]
        refused = read(await (await begin(other, kept[0])).settled())
        table = await studio.sandbox.press(known, "As a table (CSV)", studio.maren)
        assert len((await table.settled()).files) == 1
        assert [one.deferred for one in waiting] == [True, True]
        begun = monotonic()
    assert monotonic() - begun < 10.0
    assert "comparing two pairs of versions for this Discord server already" in refused


async def test_who_may_not_see_a_version_compares_nothing_and_what_cannot_be_says_why(
    studio: Studio, site: Site, start: StartBot
) -> None:
    secret = site.server.add_model(site.tower, "secret/merger")
    hidden = [
        site.server.add_version(site.tower, secret, author=site.ilse, message=f"plan {n}")
        for n in range(2)
    ]
    made = versions(site, 2)
    tobias = studio.guild.add_member("Tobias Lindqvist")
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        await options(app, studio, models=("structure/**",))
        link = f"{address(site)}/models/{on(hidden[0])}"
        refused = [
            read(await typed(studio, "compare", tobias, **asked))
            for asked in (
                {"a": hidden[0].id, "b": hidden[1].id},
                {"a": made[0].id, "b": hidden[1].id},
                {"a": link},
                {"a": "plan 0"},
                {"model": secret.name},
            )
        ]
        why = read(await typed(studio, "compare", tobias))
        elsewhere = read(await typed(studio, "compare", tobias, a="https://a.example/projects/x"))
    for one in refused:
        assert "There is no version `" in one or "has no model `" in one
        assert "From" not in one
    assert "**They cannot be compared:** " in why
    assert f"[Slab 1]({address(site)}" in why
    assert "That is neither" in elsewhere or "leads to" in elsewhere
