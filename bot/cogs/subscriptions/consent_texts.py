"""The question before a private project is shown: who will see it, in which channels."""

from collections.abc import Sequence

import discord

from bot.cogs.responses import COLOUR
from bot.cogs.webhooks.texts import listed, name_text
from bot.permissions import Audience
from bot.services.subscribe_results import NeedsConsent
from bot.speckle.links import Links

MAX_ALSO = 10  # of 25 that a question may name; a field has 1,024 characters
MAX_NAMED = 15  # roles, or members, in one sentence


def needs_consent_text(outcome: NeedsConsent) -> discord.Embed:
    """Who would see a private project, before anyone does."""
    target = outcome.request.channel
    embed = discord.Embed(
        title="Who will see this project",
        description=(
            f"{_project(outcome)} In <#{target.channel_id}> its events, with names, messages and "
            "pictures, can be read by people who may have no access to it there. Your answer is "
            "kept with the channel: if more people can see it later, or more events should be "
            "shown, the bot asks again. Nothing was changed yet."
        ),
        colour=COLOUR,
    )
    embed.add_field(
        name="Who will see it",
        value=audience_text(target.audience, target.channel_id),
        inline=False,
    )
    if outcome.also:
        embed.add_field(
            name="These channels will see it, too", value=_also_text(outcome), inline=False
        )
    if outcome.others:
        embed.add_field(name="Left out", value=_others_text(outcome.others), inline=False)
    return embed


def _project(outcome: NeedsConsent) -> str:
    url = Links(outcome.server_url).project(outcome.project_id)
    if outcome.project_name is not None:
        return f"[**{name_text(outcome.project_name)}**](<{url}>) is private in Speckle."
    return (
        f"[This project](<{url}>) seems to be private in Speckle. You can answer because you have "
        "*Manage Webhooks* in the whole server."
    )


def _also_text(outcome: NeedsConsent) -> str:
    lines = []
    for channel_id in outcome.chosen[:MAX_ALSO]:
        audience = outcome.also[channel_id]
        lines.append(f"- <#{channel_id}>: {_briefly(audience)}")
    more = len(outcome.chosen) - MAX_ALSO
    if more > 0:
        lines.append(f"- and {more} more, which the list below names")
    lines.append(
        "They follow the project already, and get its events through the webhook that the bot "
        "creates with your account. Remove those that must not see it from the list below."
    )
    return "\n".join(lines)


def _briefly(audience: Audience) -> str:
    if audience.everyone:
        return "everyone in this server"
    if audience.in_thread:
        return "a private thread"
    many = len(audience.roles) + len(audience.members)
    return "administrators only" if not many else f"{_counted(many)} and administrators"


def _counted(many: int) -> str:
    return "1 role or member" if many == 1 else f"{many} roles or members"


def _others_text(others: int) -> str:
    if others == 1:
        return "1 more channel that follows it. You do not see it, so you cannot answer for it."
    return f"{others} more channels that follow it. You do not see them, or they are too many."


def audience_text(audience: Audience | None, channel_id: int) -> str:
    """Who can see a channel, in words."""
    if audience is None:
        return f"Everyone who can see <#{channel_id}>."
    if audience.everyone:
        many = f" ({audience.people} members)" if audience.people else ""
        where = "" if audience.parent_id is None else f", as its channel <#{audience.parent_id}>"
        return f"**Everyone in this server**{many}{where}."
    who = []
    if audience.in_thread:
        who.append("- everyone in this private thread, or added to it later")
        who.append(f"- members who can *Manage Threads* in <#{audience.parent_id}>")
    else:
        if audience.roles:
            who.append(f"- members with {_some([f'<@&{role}>' for role in audience.roles])}")
        if audience.members:
            who.append(f"- {_some([f'<@{member}>' for member in audience.members])}")
        if audience.parent_id is not None:
            who.append(f"- the same people as in its channel <#{audience.parent_id}>")
    who.append("- the server's owner and its administrators")
    return "\n".join(who)


def _some(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMED
    if more > 0:
        return f"{', '.join(names[:MAX_NAMED])} and {more} more"
    return listed(names)
