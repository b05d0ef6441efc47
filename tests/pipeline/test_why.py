"""Why an event is in a channel, or is not, as its people ask: the whole bot over real sockets."""

from datetime import timedelta
from functools import partial

from bot.app import App
from bot.work import OutboxState
from sandbox.discord import InteractionView, SandboxChannel, SandboxMember
from tests.conftest import only_2_31
from tests.pipeline.conftest import StartBot, Studio, post
from tests.pipeline.deliveries import PROJECT_ID, SERVER, follow, numbered, subscribe
from tests.pipeline.world import PUBLIC_ONLY, SECRET, OpenStage, stage, timings
from tests.waiting import until

__all__ = ["stage", "timings"]

MODEL = "structure/level 01/steel frame"


def text_of(answer: InteractionView) -> str:
    """Everything that an answer shows."""
    parts = [answer.content or ""]
    for embed in answer.embeds:
        parts += [embed.get("title", ""), embed.get("description", "")]
        parts += [f"{field['name']}\n{field['value']}" for field in embed.get("fields", ())]
    return "\n".join(part for part in parts if part)


async def ask(
    studio: Studio,
    who: SandboxMember,
    name: str,
    channel: SandboxChannel | None = None,
    **options: str | SandboxChannel,
) -> str:
    """What somebody reads who types a command; nobody else reads it."""
    where = channel or studio.structure
    answer = await studio.sandbox.command(studio.guild, where, who, name, **options)
    await answer.settled()
    assert answer.ephemeral
    return text_of(answer)


async def done(app: App, number: int) -> None:
    """Wait until an event was dealt with, and the bot knows that its cards are sent."""

    async def is_finished() -> bool:
        event = await app.storage.read(lambda tx: tx.event_log.get(number))
        if event is None or event.finished_at is None:
            return False
        return all(card.state is OutboxState.SENT for card in event.cards)

    await until(is_finished)


async def _says(answer: InteractionView, text: str) -> bool:
    return text in text_of(answer)


async def test_a_channel_can_be_asked_why_by_who_sees_it_and_says_what_concerns_it_alone(
    start_bot: StartBot, studio: Studio
) -> None:
    ben = studio.guild.add_member("Ben Okafor")
    hidden = studio.guild.add_channel("board")
    hidden.deny(ben, "view_channel")
    async with start_bot() as app:
        # Nothing is followed.
        assert "does not follow any Speckle project" in await ask(studio, ben, "why")
        hook = await follow(app, studio, studio.structure)
        # Nothing came.
        waiting = await ask(studio, ben, "why")
        assert "Its webhook has never sent anything" in waiting
        assert "1. **The webhook is not set to send it.**" in waiting
        assert hook.key is not None
        assert hook.key not in waiting
        # Shown.
        await post(app, hook, numbered(1))
        await done(app, 1)
        shown = await ask(studio, ben, "why")
        assert "✅ This is shown here" in shown
        assert f"New version: {MODEL}" in shown
        assert "Discord took it" in shown
        # Filtered: everyone reads the rule, who may change it the names.
        await subscribe(studio, studio.structure, models="facade/**")
        await post(app, hook, numbered(2))
        await done(app, 2)
        for_ben, for_maren = [await ask(studio, who, "why") for who in (ben, studio.maren)]
        assert "Decided by the setting `models`" in for_ben
        assert MODEL not in for_ben
        assert f"*{MODEL}* fits none of the models" in for_maren
        assert "`/subscriptions`" in for_maren
        # By a link, a number, a time.
        version = f"{SERVER}/projects/{PROJECT_ID}/models/aaaaaaaaaa@bbbbbbbbbb"
        assert "No event" not in await ask(studio, ben, "why", event="1")
        assert "is about what the link opens" in await ask(studio, ben, "why", event=version)
        assert "More than one event" in await ask(studio, ben, "why", event="3 min ago")
        assert "no event between" in await ask(studio, ben, "why", event="3 days ago")
        assert "no event with that number" in await ask(studio, ben, "why", event="99")
        assert "can find no event by" in await ask(studio, ben, "why", event="the facade")
        # The list, and the menu of a card.
        listed = await ask(studio, ben, "events")
        assert "🔕" in listed
        assert "filtered (by `models`)" in listed
        assert listed.index("filtered") < listed.index("shown, [the message]")
        answer = await studio.sandbox.command(studio.guild, studio.structure, ben, "events")
        await studio.sandbox.select(answer, "", ["1"], ben)
        await until(partial(_says, answer, f"New version: {MODEL}**"))
        await studio.sandbox.press(answer, "The last events", ben)
        await until(partial(_says, answer, "In <#"))
        offered = await studio.sandbox.autocomplete(
            studio.guild, studio.structure, ben, "why", "event", "filt"
        )
        assert [one["value"] for one in offered] == ["2"]
        card = next(one for one in studio.sandbox.messages(studio.structure.id) if one.embeds)
        menu = await studio.sandbox.message_command(
            studio.guild, studio.structure, ben, "Why is this here?", card
        )
        await menu.settled()
        assert f"New version: {MODEL}" in text_of(menu)
        link = f"https://discord.com/channels/{studio.guild.id}/{card.channel.id}/{card.id}"
        # From another channel: by a link to a message of one that is seen, and no other way.
        assert f"New version: {MODEL}" in await ask(studio, ben, "why", studio.facade, event=link)
        assert "no event with that number" in await ask(
            studio, ben, "why", studio.facade, event="1"
        )
        other = f"https://discord.com/channels/{studio.guild.id}/{hidden.id}/{card.id}"
        assert f"You cannot see <#{hidden.id}>" in await ask(studio, ben, "why", event=other)
        # A filter that was changed since is said to be.
        assert "changed after that" not in await ask(studio, ben, "why", event="2")
        await subscribe(studio, studio.structure, models="roof/**")
        changed = await ask(studio, ben, "why", event="2")
        assert "Decided by the setting `models`, which was changed after that, <t:" in changed
        # Titles are for who may read earlier messages.
        studio.structure.deny(ben, "read_message_history")
        assert MODEL not in await ask(studio, ben, "why", event="1")


@only_2_31
async def test_names_that_a_filter_keeps_out_are_for_the_person_who_agreed_while_they_may_see_it(
    stage: OpenStage, studio: Studio
) -> None:
    tobias = studio.guild.add_member("Tobias Lindqvist", permissions="manage_webhooks")
    async with stage() as at:
        ilse = await at.link()
        await at.follow(studio.structure, ilse, options=PUBLIC_ONLY)
        version = await at.publish(SECRET, at.secret)
        await done(at.app, 1)
        link = f"{at.tower.server.url}/projects/{at.tower.project.id}/models/x@{version.id}"
        for who, said in ((studio.maren, True), (tobias, False)):
            text = await ask(studio, who, "why", event="1")
            assert "Decided by the setting `models`" in text
            assert (at.secret.name in text) is said
            assert SECRET not in text
        assert "🔕" in await ask(studio, tobias, "why", event=link.replace("x@", "abcdefabcd@"))
        # The channel's account is asked about the webhook: it owns the project.
        missing = await ask(studio, tobias, "why", event="3 days ago")
        assert "✅ By Speckle's history, its last call <t:" in missing
        assert "the webhook was not called at that time" in missing
        assert "Nobody who owns the project" not in missing
        at.ilse_is_out()
        await at.the_last_yes_was(timedelta(minutes=11))
        assert at.secret.name not in await ask(studio, studio.maren, "why", event="1")
        gone = await ask(studio, tobias, "why", event="3 days ago")
        assert "By Speckle's history" not in gone
