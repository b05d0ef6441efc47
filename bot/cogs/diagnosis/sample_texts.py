"""What /test answers: which samples were shown, and by which rule the others were not."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import discord

from bot.cards.card import MAX_FIELD_VALUE
from bot.cards.text import escape_markdown, joined, shorten
from bot.cogs.responses import COLOUR
from bot.cogs.subscriptions.panel_texts import options_text, project_name
from bot.problem_texts import reason_text
from bot.problems import SendReason
from bot.services.samples import SampleFate, SampleReport, SampleResult
from bot.speckle.events import EventKind
from bot.speckle.visibility import PUBLIC
from bot.trace import MissingWhy, ReadWith, TraceLine, TraceStep
from bot.trace_texts import PAUSES, trace_text

GOOD, WARN, BAD = "✅", "⚠️", "❌"
# What these say of the account or the server is true of real events, too; that Speckle knows
# nothing of a sample is not.
SPECKLE_LATE: Final = (
    "Speckle did not answer in time about some of the samples. A real card is plain at first then, "
    "and gets the rest if the answer comes within an hour."
)
# The same where there is no such project: nobody learns here which ids are of private ones.
NOBODY_READS: Final = (
    "Nothing: no linked account reads for this channel, and the project is not one that "
    "everyone can see. Cards show what the webhook sends. Someone who can see the project changes "
    "that with `/link`, then `/subscribe` here."
)
ACCOUNT_TROUBLES: Final = frozenset(
    {MissingWhy.TOKEN_REFUSED, MissingWhy.SCOPE_MISSING, MissingWhy.FORBIDDEN}
)


def report_embed(report: SampleReport) -> discord.Embed:
    """How a test went."""
    where = f"<#{report.entry.subscription.channel_id}>"
    embed = discord.Embed(
        title="Test",
        description=f"{project_name(report.entry)} in {where}: {options_text_of(report)}.\n\n"
        f"{_shown_text(report)}",
        colour=COLOUR,
    )
    for fate, name in (
        (SampleFate.NOT_SHOWN, f"{WARN} Not shown"),
        (SampleFate.REFUSED, f"{BAD} Discord did not accept"),
    ):
        if results := report.of(fate):
            embed.add_field(name=name, value=_by_reason(results), inline=False)
    if under_way := report.of(SampleFate.UNDER_WAY):
        embed.add_field(name=f"{WARN} Still on its way", value=_under_way(under_way), inline=False)
    trouble = _speckle_trouble(report)
    mark, text = (GOOD, _speckle_answers(report.results)) if trouble is None else (WARN, trouble)
    if text:
        embed.add_field(name=f"{mark} What Speckle adds", value=text, inline=False)
    return embed.set_footer(
        text="A test changes nothing and counts towards no quota. It does not come from Speckle: "
        "whether real events arrive, /doctor says."
    )


def options_text_of(report: SampleReport) -> str:
    """What the channel wants."""
    return options_text(report.entry.subscription.options)


def _shown_text(report: SampleReport) -> str:
    shown, all_there = len(report.of(SampleFate.SHOWN)), len(report.results)
    if not shown:
        return f"{BAD} None of {all_there} sample cards was shown."
    way = (
        "They went the way of real events, through filters, access, what Speckle adds, and the "
        "queue, and are marked as a test."
    )
    if shown == all_there:
        cards = "1 sample card was shown: the one kind" if shown == 1 else f"{shown} sample cards"
        what = cards if shown == 1 else f"{cards} were shown: one of each kind"
        return f"{GOOD} {what} of event that this channel wants. {way}"
    return f"{WARN} {shown} of {all_there} sample cards were shown. {way}"


def _by_reason(results: Sequence[SampleResult]) -> str:
    """The kinds that share a reason together."""
    kinds: defaultdict[str, list[EventKind]] = defaultdict(list)
    for one in results:
        kinds[_reason(one)].append(one.kind)
    lines = [f"{_names(some)}: {reason}" for reason, some in kinds.items()]
    return shorten("\n".join(lines), MAX_FIELD_VALUE)


def _reason(result: SampleResult) -> str:
    if result.fate is SampleFate.REFUSED:
        return escape_markdown(reason_text(SendReason.from_stored(result.error or "")))
    decided = next((one for one in reversed(result.trace) if _decides(one)), None)
    if decided is None:
        return "Other events of this channel wait, and it would have come before them."
    if decided.step == TraceStep.ACCESS_PAUSED:
        why = PAUSES.get(str(decided.facts.get("pause")), "who may see it is not clear")
        return f"A real event would be kept, and would pause this channel: {why}."
    return escape_markdown(trace_text(decided))


def _decides(line: TraceLine) -> bool:
    return line.stage in ("route", "access", "render") and line.step != TraceStep.WANTED


def _under_way(results: Sequence[SampleResult]) -> str:
    return (
        f"{_names([one.kind for one in results])}: Discord has not accepted the cards yet, or many "
        "events wait before them. They come as soon as that is over; `/doctor` shows what is wrong."
    )


def _speckle_trouble(report: SampleReport) -> str | None:
    """What keeps Speckle from adding to cards, the same for real ones; None if nothing is known."""
    for one in report.results:
        for line in one.trace:
            if line.facts.get("reader") == ReadWith.NO_TOKEN and not _is_public(report):
                return NOBODY_READS
            if line.step == TraceStep.FACTS_LATE:
                return SPECKLE_LATE
            if line.facts.get("missing") in ACCOUNT_TROUBLES:
                return shorten(escape_markdown(trace_text(line)), MAX_FIELD_VALUE)
    return None


def _is_public(report: SampleReport) -> bool:
    return report.entry.hook.visibility in PUBLIC


def _speckle_answers(results: Iterable[SampleResult]) -> str:
    """That Speckle was asked and answered; empty where nothing was asked."""
    asked = any(line.stage == "enrich" for one in results for line in one.trace)
    if not asked:
        return ""
    return (
        "Speckle was asked, and answers. It knows nothing of samples; real cards also have what it "
        "adds, such as object counts and pictures."
    )


def _names(kinds: Iterable[EventKind]) -> str:
    return joined([kind.words for kind in kinds])
