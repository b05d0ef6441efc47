"""Why a command was refused, as its caller reads it."""

from datetime import UTC, datetime

import pytest

from bot.cogs.refusal_texts import (
    NOT_READ,
    REASONS,
    RETRIES,
    WRONG_KINDS,
    cannot_post_text,
    refusal_text,
)
from bot.permissions import ChannelKind, ChannelPermission
from bot.services.channel_rules import NEEDED
from bot.services.refusals import (
    CannotPost,
    ChannelNotRead,
    Limited,
    NeedsOwnAccount,
    NoProjectHere,
    NoRoom,
    NoSuchModel,
    NoSuchVersion,
    NotAProject,
    NotManager,
    NotReadWhy,
    NoVersions,
    Obstacle,
    OwnAccountNotTaken,
    ProjectNotPublic,
    ProjectNotSeen,
    Refusal,
    RefusalReason,
    Retry,
    ServerNotAllowed,
)
from bot.speckle.events import EventGroup
from bot.speckle.subscription_options import OptionFault, OptionProblem

CHANNEL = 730_000_000_000_000_001
CLOUD = "https://app.speckle.systems"
MISSPELT = OptionProblem("events", OptionFault.NO_SUCH_EVENT, entry="verisons")


def test_each_reason_and_each_retry_has_its_words() -> None:
    assert set(REASONS) == set(RefusalReason)
    assert set(RETRIES) == set(Retry)
    assert set(NOT_READ) == set(NotReadWhy)
    assert set(WRONG_KINDS) == set(ChannelKind) - set(NEEDED)


@pytest.mark.parametrize(
    ("refusal", "parts"),
    [
        (NotManager(CHANNEL), ("*Manage Webhooks*", f"<#{CHANNEL}>")),
        (NotAProject("it is empty."), ("it is empty.", "copy the address from the browser")),
        (
            ServerNotAllowed("https://elsewhere.example", (CLOUD, "https://b.example")),
            ("https://elsewhere.example", f"{CLOUD}, https://b.example", "`SPECKLE_SERVERS`"),
        ),
        (ProjectNotSeen(CLOUD), ("no such project on https://app.speckle.systems", "`/account`")),
        (ProjectNotSeen(CLOUD, here=True), ("stays paused", "`/unsubscribe`", "`/account`")),
        (ProjectNotPublic(CLOUD), ("`/link`", "in the whole server", "Nothing was changed")),
        (
            NoRoom(Limited.HOOKS, 1, 1),
            (
                "another webhook or live project: it has 1 of 1",
                "`/subscriptions`",
                "person who runs this bot",
            ),
        ),
        (NoProjectHere(CHANNEL), (f"<#{CHANNEL}> follows no Speckle project", "as `project`")),
        (NeedsOwnAccount(CLOUD), (f"not public on {CLOUD}", "Type `/link`, then")),
        (OwnAccountNotTaken(CLOUD), ("cannot be used at the moment", "`/account`", "`/link`")),
        *(
            (ChannelNotRead(CHANNEL, why), (f"in <#{CHANNEL}>: ", "type `/link`"))
            for why in NotReadWhy
        ),
        (NoSuchModel("slab", ("a/slab", "b/slab")), ("Did you mean `a/slab` or `b/slab`?",)),
        (NoSuchVersion("slab"), ("There is no version `slab`", "paste the version's address")),
        (NoSuchVersion("slab", several=True), ("`slab` is said of several", "Pick one")),
        (NoVersions(), ("There is no version yet", "Publish one")),
        (NoRoom(Limited.SUBSCRIPTIONS, 2, 2), ("another subscription: it has 2 of 2",)),
    ],
)
def test_a_refusal_says_why_and_what_to_do(refusal: Refusal, parts: tuple[str, ...]) -> None:
    for part in parts:
        assert part in refusal_text(refusal)


def test_an_option_is_refused_with_what_to_type_instead() -> None:
    near = OptionProblem("events", OptionFault.NO_SUCH_EVENT, entry="ver`isons", near="versions")
    assert refusal_text(near) == "There is no event `ver'isons`. Did you mean `versions`?"
    assert all(f"`{group}`" in refusal_text(MISSPELT) for group in EventGroup)
    too_many = OptionProblem("models", OptionFault.TOO_MANY_ENTRIES, 26)
    assert refusal_text(too_many).startswith("`models` has 26 entries; at most 25 are allowed.")
    too_long = OptionProblem("models", OptionFault.ENTRY_TOO_LONG, 101, "x" * 101)
    assert "has 101 characters" in refusal_text(too_long)
    assert "is empty" in refusal_text(OptionProblem("models", OptionFault.EMPTY_PATTERN, entry="!"))


@pytest.mark.parametrize(
    ("obstacle", "kind", "words"),
    [
        (Obstacle.WRONG_KIND, ChannelKind.FORUM, "Pick a post in it, then use `/subscribe` again."),
        (Obstacle.PERMISSIONS, ChannelKind.TEXT, "Open the settings of the channel (*Edit Channel"),
        (Obstacle.PERMISSIONS, ChannelKind.THREAD, "Open the settings of its parent channel"),
        (Obstacle.NOT_IN_THREAD, ChannelKind.THREAD, "Mention the bot there"),
        (Obstacle.LOCKED, ChannelKind.THREAD, "Unlock it first, then use `/subscribe` again."),
        (Obstacle.ARCHIVED, ChannelKind.THREAD, "by writing something in it"),
        (Obstacle.TIME_OUT, ChannelKind.TEXT, "in time-out until <t:1772442000:f>"),
    ],
)
def test_an_obstacle_comes_with_the_way_out(
    obstacle: Obstacle, kind: ChannelKind, words: str
) -> None:
    until = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    missing = (ChannelPermission.EMBED_LINKS, ChannelPermission.ATTACH_FILES)
    text = cannot_post_text(CannotPost(CHANNEL, kind, obstacle, missing, until, Retry.SUBSCRIBE))
    assert f"<#{CHANNEL}>" in text
    assert words in text
    if obstacle is Obstacle.PERMISSIONS:
        assert "- Embed Links\n- Attach Files\n" in text


def test_a_subscription_of_a_channel_that_is_gone_is_followed_elsewhere_and_removed() -> None:
    found = CannotPost(CHANNEL, ChannelKind.GONE, Obstacle.WRONG_KIND, retry=Retry.RESUME)
    text = cannot_post_text(found)
    assert "*View Channel* there, then press *Resume* again." in text
    assert "use `/subscribe` in another channel" in text
    assert "pick another channel" not in text


def test_where_nobody_asked_for_anything_resume_is_what_to_press() -> None:
    found = CannotPost(CHANNEL, ChannelKind.THREAD, Obstacle.LOCKED)
    assert cannot_post_text(found).endswith("Unlock it first, then press *Resume*.")
