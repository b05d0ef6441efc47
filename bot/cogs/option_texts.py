"""Why an option as typed cannot be used, in words: what happened, why, and what to type instead."""

from collections.abc import Callable, Mapping

from bot.cards.text import one_line
from bot.speckle.events import EventGroup
from bot.speckle.subscription_options import (
    MAX_ENTRIES,
    MAX_ENTRY_LENGTH,
    OptionFault,
    OptionProblem,
)


def code(text: str) -> str:
    """What somebody typed, in code quotes that it cannot end."""
    shown = one_line(text, otherwise=" ").replace("`", "'")
    return f"`{shown[:MAX_ENTRY_LENGTH]}`"


def option_text(problem: OptionProblem) -> str:
    """What the caller reads."""
    return TEXTS[problem.fault](problem)


def _too_many(problem: OptionProblem) -> str:
    more = "more" if problem.size > MAX_ENTRIES * 2 else str(problem.size)
    return (
        f"`{problem.option}` has {more} entries; at most {MAX_ENTRIES} are allowed. Use fewer, or "
        "patterns that cover several, such as `structure/**`."
    )


def _too_long(problem: OptionProblem) -> str:
    return (
        f"An entry of `{problem.option}` has {problem.size} characters; at most "
        f"{MAX_ENTRY_LENGTH} are allowed. Separate entries with commas, or shorten it."
    )


def _no_such_event(problem: OptionProblem) -> str:
    if problem.near is not None:
        return f"There is no event {code(problem.entry)}. Did you mean `{problem.near}`?"
    groups = ", ".join(f"`{group}`" for group in EventGroup)
    return f"There is no event {code(problem.entry)}. The groups are {groups}."


def _never_sent(problem: OptionProblem) -> str:
    return (
        f"With `{problem.entry}` alone, nothing would arrive: those are events that this bot does "
        "not know yet, which no webhook can be set to send. Name events that you want too, such "
        "as `versions, issues`."
    )


def _empty_pattern(_problem: OptionProblem) -> str:
    return "A model pattern is empty. Write a model's name, `structure/**` or `!**/draft*`."


def _nothing_wanted(problem: OptionProblem) -> str:
    everything = f"type `{problem.option}:all`"
    if problem.option == "events":
        everything += ", or check all boxes of the form"
    return (
        f"{code(problem.entry)} leaves no `{problem.option}`, so the channel would show nothing. "
        f"Did you mean all of them? Then {everything}. To show nothing for a while, press *Pause* "
        "under `/subscriptions`; to stop, use `/unsubscribe`."
    )


def _nothing_left(problem: OptionProblem) -> str:
    if problem.option == "models":
        return (
            f"{code(problem.entry)} leaves out every model that would be shown. What do you want "
            "to see? For all models type `models:all`; for all but some name these, such as "
            "`!**/draft*`; for no model at all choose events that are about none: "
            "`events:project, people`. Nothing was changed."
        )
    if problem.option == "ignore_authors":
        return (
            f"{code(problem.entry)} would ignore everybody, so nothing would be shown. Name the "
            "people whose events are not to be shown, or type `ignore_authors:nobody`. To show "
            "nothing for a while, press *Pause* under `/subscriptions`."
        )
    return (
        f"{code(problem.entry)} leaves out every event. Name those that you want, such as "
        "`versions, issues`, or leave out fewer, such as `!people`."
    )


def _contradiction(problem: OptionProblem) -> str:
    if problem.option == "ignore_authors":
        return (
            f"{code(problem.entry)} and {code(problem.near or '')} contradict each other. Name the "
            "people to ignore, or type only `nobody`. Is somebody really called that? Put the name "
            'in quotes: `"…"`.'
        )
    return (
        f"{code(problem.entry)} has no effect beside {code(problem.near or '')}, which leaves out "
        "the same models. Which of the two do you mean? Type the list again without the other."
    )


def _expression(problem: OptionProblem) -> str:
    return (
        f"{code(problem.entry)} looks like a regular expression, and models are named by patterns: "
        "`*` stands for anything up to the next `/`, `**` for anything at all, `?` for one "
        f"character. Did you mean {code(problem.near or '')}? Is it really a model's name? Put it "
        'in quotes: `"…"`.'
    )


def _no_model_in_link(_problem: OptionProblem) -> str:
    return (
        "That address leads to no model. Open the model in Speckle and copy its address, or type "
        "its name. For all models of the project type `models:all`."
    )


def _link_elsewhere(_problem: OptionProblem) -> str:
    return (
        "The address in `models` leads to a model of another project. Use a link into the project "
        "that you named as `stream_id`, or the model's name."
    )


def _mention(problem: OptionProblem) -> str:
    return (
        f"{problem.entry} is a mention in Discord, and events come with names from Speckle: the "
        "bot does not know who is who. Type the name as Speckle shows it, pick it from the list "
        "that is offered while you type, or use the person's Speckle id."
    )


def _e_mail(problem: OptionProblem) -> str:
    return (
        f"{code(problem.entry)} is an e-mail address, and Speckle's events have none. Type "
        "the name as Speckle shows it, pick it from the list that is offered while you type, or "
        "use the person's Speckle id."
    )


def _not_a_person(problem: OptionProblem) -> str:
    return (
        f"{code(problem.entry)} means no author. Type the names of people whose events are not to "
        "be shown, as Speckle shows them, or their Speckle ids. A name is not changed by `!`: "
        "everyone who is not listed is shown."
    )


TEXTS: Mapping[OptionFault, Callable[[OptionProblem], str]] = {
    OptionFault.TOO_MANY_ENTRIES: _too_many,
    OptionFault.ENTRY_TOO_LONG: _too_long,
    OptionFault.NO_SUCH_EVENT: _no_such_event,
    OptionFault.NEVER_SENT: _never_sent,
    OptionFault.EMPTY_PATTERN: _empty_pattern,
    OptionFault.NOTHING_WANTED: _nothing_wanted,
    OptionFault.NOTHING_LEFT: _nothing_left,
    OptionFault.CONTRADICTION: _contradiction,
    OptionFault.REGULAR_EXPRESSION: _expression,
    OptionFault.LINK_WITHOUT_MODEL: _no_model_in_link,
    OptionFault.LINK_ELSEWHERE: _link_elsewhere,
    OptionFault.DISCORD_MENTION: _mention,
    OptionFault.E_MAIL: _e_mail,
    OptionFault.NOT_A_PERSON: _not_a_person,
}
