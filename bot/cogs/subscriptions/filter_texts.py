"""What is said of filters and pasted links: what has no effect, and what a link means."""

from bot.cards.text import counted, joined
from bot.cogs.option_texts import code
from bot.cogs.subscriptions.panel_texts import options_text, project_name
from bot.services.subscribe_results import NeedsChoice, Subscribed
from bot.speckle.filter_hints import FilterHint, NoEffect
from bot.speckle.links import ID, Links, LinkTarget
from bot.speckle.subscription_options import SubscriptionOptions
from bot.speckle.typed_lists import EXCLUDE

MAX_HINTS = 5  # more make no one read them


def target_text(outcome: Subscribed) -> str | None:
    """What was made of a link that leads to less than a model; None where it needs no word."""
    has_models = bool(outcome.entry.subscription.options.models)
    return TARGETS.get((outcome.target, has_models))


TARGETS = {
    (LinkTarget.VERSION, True): (
        "That link leads to a version. A channel follows models, so this is about its model."
    ),
    (LinkTarget.VERSION, False): (
        "That link leads to a version and does not name its model, so the channel shows all "
        "models. To follow one, paste the model's own address, or name it as `models`."
    ),
    (LinkTarget.THREAD, True): (
        "That link leads to a comment or an issue. A channel follows models, so this is about the "
        "model that it was opened on."
    ),
    (LinkTarget.THREAD, False): (
        "That link leads to a comment or an issue. A channel follows a project or its models, so "
        "this is about the project."
    ),
}
"""By what a link leads to, and whether models were chosen by it."""


def hint_lines(hints: tuple[FilterHint, ...]) -> list[str]:
    """A line for each filter that has no effect now."""
    lines = [f"⚠️ {_hint_text(hint)}" for hint in hints[:MAX_HINTS]]
    more = len(hints) - MAX_HINTS
    return [*lines, f"⚠️ {counted(more, 'more filter')} without effect."] if more > 0 else lines


def _hint_text(hint: FilterHint) -> str:
    if hint.why in SENTENCES:
        return SENTENCES[hint.why].format(entry=code(hint.entry), near=code(hint.near or ""))
    meant = "" if hint.near is None else f" Did you mean {code(hint.near)}?"
    match hint.why:
        case NoEffect.NO_MODEL_FITS if hint.entry.startswith(EXCLUDE):
            return f"No model fits {code(hint.entry[1:])} now, so nothing is left out by it.{meant}"
        case NoEffect.NO_MODEL_FITS:
            return f"No model fits {code(hint.entry)} now.{meant}"
        case NoEffect.NOBODY_FITS:
            return f"Nobody in the project is called {code(hint.entry)} now.{meant}"
        case NoEffect.NOT_SENT:
            has = "comments" if hint.entry.startswith("issue_") else "issues"
            return (
                f"This Speckle server has {has}, and sends no event {code(hint.entry)}.{meant} The "
                "group `issues` is both."
            )
        case _:
            return f"{code(hint.entry)} has no effect now.{meant}"


SENTENCES = {
    NoEffect.NO_MODEL_LEFT: "These patterns together leave no model of the project now.",
    NoEffect.NOT_ABOUT_MODELS: (
        "`models` has no effect here: the events that are chosen are about no model. Add "
        "`versions`, `models` or `issues` to `events`, or type `models:all`."
    ),
    NoEffect.COVERED: "{entry} has no effect beside {near}, which does the same already.",
    NoEffect.LEAVES_NOTHING_OUT: (
        "{entry} leaves nothing out now: the other patterns let in no model that fits it."
    ),
    NoEffect.LINK_UNUSED: (
        "The link leads to a model, and as `models` something else was typed: that is what counts."
    ),
}


def needs_choice_text(outcome: NeedsChoice) -> str:
    """What a link to models is to mean in a channel that follows the project already."""
    entry = outcome.entry
    channel_id = entry.subscription.channel_id
    models, it = _linked(outcome), "it" if len(outcome.linked) == 1 else "them"
    shown = options_text(
        SubscriptionOptions(models=outcome.shown).named(entry.models)
    ).removeprefix("all events · ")
    shows = shown if outcome.shown else "all its models"
    add = (
        f"- **Add to what it shows**: {it} as well."
        if outcome.shown
        else f"- **Add to what it shows**: nothing changes, as the channel shows {it} already."
    )
    return (
        f"<#{channel_id}> follows {project_name(outcome.entry)} already, and shows {shows}. The "
        f"link leads to {models}. What do you want?\n{add}\n"
        f"- **Show only this**: {it}, and no other model.\n"
        "- **Keep as it is**: the models stay as they are; what else you typed is changed.\n"
        + "".join(f"{line}\n" for line in hint_lines(outcome.hints))
        + "Nothing was changed yet."
    )


def _linked(outcome: NeedsChoice) -> str:
    entry = outcome.entry
    links = Links(entry.hook.server_url)
    ids = [one for one in outcome.linked if ID.fullmatch(one) and one not in entry.models]
    names = [code(entry.models.get(one, one)) for one in outcome.linked if one not in ids]
    if ids:
        place = links.place(entry.hook.project_id, ",".join(ids))
        what = "this model" if len(ids) == 1 else f"these {len(ids)} models"
        names.append(f"[{what}](<{place}>)")
    return joined(names)
