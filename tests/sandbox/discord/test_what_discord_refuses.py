"""What Discord takes and what it refuses, beyond lengths: each rule by its sentence."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
import discord
import pytest

from sandbox.discord import Sandbox, SandboxChannel, SandboxGuild, SandboxMember
from sandbox.discord.json_types import JSON
from tests.sandbox.discord.conftest import Client, Connect

V2 = 1 << 15


@dataclass(frozen=True, slots=True)
class Said:
    """What came back."""

    status: int
    body: Any

    @property
    def codes(self) -> set[str]:
        """The codes of all faults of a bad form."""
        return set(_codes(self.body.get("errors", {})))


def _codes(node: Any) -> list[str]:
    found = [one["code"] for one in node.get("_errors", ())]
    return found + [
        code for key, below in node.items() if key != "_errors" for code in _codes(below)
    ]


class Asking:
    """Posts bodies as a program without a library would."""

    def __init__(
        self, sandbox: Sandbox, channel: SandboxChannel, raw: aiohttp.ClientSession
    ) -> None:
        self.sandbox, self.channel, self._raw = sandbox, channel, raw

    async def ask(self, method: str, path: str, body: Any = None) -> Said:
        async with self._raw.request(method, self.sandbox.api_url + path, json=body) as answer:
            return Said(answer.status, None if answer.status == 204 else await answer.json())

    async def post(self, body: JSON, channel: SandboxChannel | None = None) -> Said:
        place = channel or self.channel
        return await self.ask("POST", f"/channels/{place.id}/messages", body)

    async def refuses(self, body: JSON, code: int = 50035) -> set[str]:
        """The message is refused with this code; gives the faults of the form."""
        said = await self.post(body)
        assert (said.status, said.body["code"]) == (400, code), said.body
        assert self.sandbox.messages(self.channel) == []
        return said.codes

    async def register(self, *commands: JSON) -> Said:
        return await self.ask("PUT", f"/applications/{self.sandbox.bot_id}/commands", commands)

    async def refuses_command(self, command: JSON) -> set[str]:
        said = await self.register({"name": "go", "description": "Go"} | command)
        assert (said.status, said.body["code"]) == (400, 50035), said.body
        return said.codes

    async def refuses_option(self, option: JSON) -> set[str]:
        named = {"type": 3, "name": "text", "description": "A text"} | option
        return await self.refuses_command({"options": [named]})


@pytest.fixture
def at(sandbox: Sandbox, channel: SandboxChannel, raw: aiohttp.ClientSession) -> Asking:
    return Asking(sandbox, channel, raw)


def v2(*components: JSON) -> JSON:
    return {"flags": V2, "components": list(components)}


def text(content: str) -> JSON:
    return {"type": 10, "content": content}


PICTURE = {"media": {"url": "https://app.speckle.systems/preview/1"}}
BUTTON = {"type": 2, "style": 2, "label": "Open", "custom_id": "open"}


def select(**more: Any) -> JSON:
    options = [{"label": one, "value": one, "default": True} for one in ("a", "b")]
    inside = {"type": 3, "custom_id": "pick", "options": options} | more
    return {"content": "x", "components": [{"type": 1, "components": [inside]}]}


# ── taken ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_poll_is_taken_voted_in_and_ended(
    at: Asking, rest: Client, place: discord.PartialMessageable, maren: SandboxMember
) -> None:
    poll = discord.Poll("Which façade?", duration=timedelta(hours=2), multiple=True)
    poll.add_answer(text="Timber", emoji="🪵").add_answer(text="Brick")
    sent = await place.send(poll=poll)
    assert sent.poll is not None
    assert (sent.poll.question, [one.text for one in sent.poll.answers]) == (
        "Which façade?", ["Timber", "Brick"],
    )  # fmt: skip
    [message] = at.sandbox.messages(at.channel)
    assert message.poll is not None
    message.poll.votes[2] = {maren.id}
    shown = await place.fetch_message(sent.id)
    assert shown.poll is not None
    assert [one.vote_count for one in shown.poll.answers] == [0, 1]
    assert [one.name async for one in shown.poll.answers[1].voters()] == ["Maren Oduya"]
    ended = await shown.end_poll()
    assert ended.poll is not None
    assert ended.poll.is_finalised()
    with pytest.raises(discord.HTTPException) as refused:
        await sent.edit(content="Which façade, really?")
    assert refused.value.code == 520003


async def test_a_message_into_an_archived_thread_un_archives_it(
    sandbox: Sandbox, channel: SandboxChannel, connect: Connect
) -> None:
    thread = channel.add_thread("Level 1")
    async with connect(Client()) as client:
        kept = await client.get_partial_messageable(thread.id).send("first")
        thread.archive()
        with pytest.raises(discord.HTTPException) as refused:
            await kept.edit(content="changed")
        assert refused.value.code == 50083
        await client.get_partial_messageable(thread.id).send("hello")
        assert not thread.archived
        await kept.edit(content="changed")
        assert [one.content for one in sandbox.messages(thread)] == ["changed", "hello"]


async def test_a_message_of_an_archived_thread_can_be_deleted_but_not_of_a_locked_one(
    sandbox: Sandbox, channel: SandboxChannel, rest: Client
) -> None:
    thread = channel.add_thread("Level 1")
    place = rest.get_partial_messageable(thread.id)
    first, second = await place.send("first"), await place.send("second")
    thread.archive()
    await first.delete()
    thread.archive(locked=True)
    with pytest.raises(discord.HTTPException) as refused:
        await second.delete()
    assert refused.value.code == 160005
    assert [one.content for one in sandbox.messages(thread)] == ["second"]


async def test_a_bot_that_manages_threads_writes_into_locked_ones(
    sandbox: Sandbox, guild: SandboxGuild, channel: SandboxChannel, rest: Client
) -> None:
    guild.set_bot_permissions("manage_threads")
    thread = channel.add_thread("Level 1", archived=True, locked=True)
    await rest.get_partial_messageable(thread.id).send("hello")
    assert (thread.archived, thread.locked) == (False, True)


async def test_a_reply_names_its_message_and_one_to_a_lost_message_can_be_sent_all_the_same(
    at: Asking, place: discord.PartialMessageable
) -> None:
    first = await place.send("New version")
    reply = await place.send("Thanks", reference=first)
    assert reply.type is discord.MessageType.reply
    assert reply.reference is not None
    assert reply.reference.message_id == first.id
    lost = {"message_id": "1", "fail_if_not_exists": False}
    said = await at.post({"content": "x", "message_reference": lost})
    assert (said.status, said.body["type"]) == (200, 0)


async def test_every_kind_of_component_of_the_second_version_is_taken(at: Asking) -> None:
    section = {"type": 9, "components": [text("x")], "accessory": {"type": 11} | PICTURE}
    gallery = {"type": 12, "items": [PICTURE] * 10}
    row = {"type": 1, "components": [BUTTON]}
    inside = [text("x"), section, gallery, {"type": 14, "spacing": 2, "divider": False}, row]
    said = await at.post(v2({"type": 17, "accent_color": 0, "components": inside}))
    assert said.status == 200, said.body
    [container] = said.body["components"]
    assert [one["id"] for one in container["components"]] == [2, 3, 6, 7, 8]


async def test_times_in_embeds_are_read_as_iso_8601(at: Asking) -> None:
    for moment in ("2026-11-26T18:00:00Z", "2026-11-26T18:00:00.123+01:00", "2026-11-26"):
        assert (await at.post({"embeds": [{"title": "x", "timestamp": moment}]})).status == 200


async def test_names_of_commands_are_taken_in_any_script_and_language(at: Asking) -> None:
    languages = {"de": "abonnieren", "ja": "購読", "hi": "सदस्यता", "th": "สมัคร"}
    said = await at.register(
        {"name": "подписка", "description": "Follow", "name_localizations": languages}
    )
    assert said.status == 200, said.body


# ── messages ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("moment", ["yesterday", "12", "2026-13-01T00:00:00Z", "", 1764180000])
async def test_a_junk_timestamp_is_refused(at: Asking, moment: Any) -> None:
    await at.refuses({"embeds": [{"title": "x", "timestamp": moment}]})


async def test_more_than_4000_characters_of_text_in_the_second_version_are_refused(
    at: Asking,
) -> None:
    codes = await at.refuses(v2(text("x" * 3000), {"type": 17, "components": [text("x" * 1001)]}))
    assert codes == {"COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED"}
    await at.refuses(v2(text("x" * 4001)))


@pytest.mark.parametrize("kind", ["users", "roles"])
async def test_a_kind_of_mentions_beside_single_ones_of_it_is_refused(
    at: Asking, kind: str
) -> None:
    codes = await at.refuses({"content": "x", "allowed_mentions": {"parse": [kind], kind: ["1"]}})
    assert codes == {"MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE"}
    other = "roles" if kind == "users" else "users"
    allowed = {"parse": [kind], kind: [], other: ["1"]}
    assert (await at.post({"content": "x", "allowed_mentions": allowed})).status == 200


@pytest.mark.parametrize(
    "allowed",
    [
        {"users": [str(number) for number in range(101)]},
        {"roles": [str(number) for number in range(101)]},
        {"users": ["1", "1"]},
        {"users": ["somebody"]},
        {"parse": ["here"]},
        {"parse": ["users", "users"]},
        {"replied_user": "yes"},
    ],
    ids=str,
)
async def test_mentions_that_do_not_exist_or_are_too_many_are_refused(
    at: Asking, allowed: JSON
) -> None:
    await at.refuses({"content": "x", "allowed_mentions": allowed})


async def test_a_section_without_accessory_or_texts_is_refused(at: Asking) -> None:
    button = {"accessory": BUTTON}
    await at.refuses(v2({"type": 9, "components": [text("x")]}))
    await at.refuses(v2({"type": 9, "components": []} | button))
    await at.refuses(v2({"type": 9, "components": [text("x")] * 4} | button))
    await at.refuses(v2({"type": 9, "components": [{"type": 14}]} | button))
    await at.refuses(v2({"type": 9, "components": [text("x")], "accessory": text("y")}))


async def test_a_gallery_of_no_or_more_than_ten_pictures_is_refused(at: Asking) -> None:
    await at.refuses(v2({"type": 12, "items": [PICTURE] * 11}))
    await at.refuses(v2({"type": 12, "items": []}))
    await at.refuses(v2({"type": 12, "items": [{"media": {}}]}))
    await at.refuses(v2({"type": 12, "items": [{"media": {"url": "attachment://lost.png"}}]}))
    await at.refuses(v2({"type": 12, "items": [PICTURE | {"description": "x" * 1025}]}))


@pytest.mark.parametrize(
    "component",
    [
        {"type": 17, "components": []},
        {"type": 17, "components": [{"type": 17, "components": [text("x")]}]},
        {"type": 17, "components": [text("x")], "accent_color": 1 << 24},
        {"type": 14, "spacing": 3},
        {"type": 13, "file": {"url": "https://app.speckle.systems/plan.pdf"}},
        {"type": 11} | PICTURE,
        {"type": 18, "label": "x", "component": {"type": 4, "custom_id": "x", "style": 1}},
        {"type": 2, "style": 2, "label": "x", "custom_id": "x"},
        text("x") | {"id": -1},
    ],
    ids=str,
)
async def test_components_out_of_their_place_or_range_are_refused(
    at: Asking, component: JSON
) -> None:
    await at.refuses(v2(text("x"), component))


async def test_a_number_or_custom_id_twice_is_refused(at: Asking) -> None:
    await at.refuses(v2(text("x") | {"id": 1}, text("y") | {"id": 1}))
    await at.refuses(v2({"type": 1, "components": [BUTTON]}, {"type": 1, "components": [BUTTON]}))


async def test_an_edit_keeps_the_second_version_and_takes_no_content_beside_it(at: Asking) -> None:
    said = await at.post(v2(text("x")))
    path = f"/channels/{at.channel.id}/messages/{said.body['id']}"
    refused = await at.ask("PATCH", path, {"content": "y", "flags": 0})
    assert (refused.status, refused.body["code"]) == (400, 50035)
    plain = await at.post({"content": "x"})
    path = f"/channels/{at.channel.id}/messages/{plain.body['id']}"
    refused = await at.ask("PATCH", path, v2(text("y")))
    assert (refused.status, refused.body["code"]) == (400, 50035)
    taken = await at.ask("PATCH", path, v2(text("y")) | {"content": None})
    assert taken.status == 200, taken.body


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"content": " \n\t"}, 50006),
        ({"content": "\u3000"}, 50006),
        ({"embeds": [{"title": "  "}]}, 50035),
        ({"embeds": [{"title": " ", "description": "x"}]}, 50035),
        ({"embeds": [{"description": "\n"}]}, 50035),
        ({"embeds": [{"title": "x", "fields": [{"name": " ", "value": "x"}]}]}, 50035),
        ({"embeds": [{"title": "x", "footer": {"text": " "}}]}, 50035),
        ({"embeds": [{"title": "x", "author": {"name": " "}}]}, 50035),
        ({"embeds": [{"title": ""}]}, 50006),
        (v2(text("  ")), 50035),
        (v2(), 50006),
        ({"content": "x", "components": [{"type": 1, "components": [BUTTON | {"label": " "}]}]},
         50035),
    ],
    ids=str,
)  # fmt: skip
async def test_blank_titles_and_contents_are_refused(at: Asking, body: JSON, code: int) -> None:
    await at.refuses(body, code)


async def test_more_default_options_than_can_be_chosen_are_refused(at: Asking) -> None:
    assert await at.refuses(select()) == {"SELECT_COMPONENT_TOO_MANY_DEFAULT_VALUES"}
    assert (await at.post(select(max_values=2))).status == 200


@pytest.mark.parametrize(
    "part",
    [
        {"min_values": 2, "max_values": 1},
        {"max_values": 3},
        {"max_values": 0},
        {"min_values": 26, "max_values": 26},
        {"type": 5, "default_values": [{"id": "1", "type": "role"}]},
        {"type": 5, "default_values": [{"id": "1", "type": "user"}, {"id": "2", "type": "user"}]},
        {"type": 8, "channel_types": [99]},
        {"type": 8, "channel_types": [0, 0]},
    ],
    ids=str,
)
async def test_a_select_that_cannot_be_filled_in_is_refused(at: Asking, part: JSON) -> None:
    await at.refuses(select(**{"max_values": 1} | part))


async def test_an_emoji_that_is_none_is_refused_and_the_application_s_own_is_taken(
    at: Asking, rest: Client
) -> None:
    def pressed(emoji: JSON) -> JSON:
        row = {"type": 1, "components": [{"type": 2, "style": 2, "custom_id": "x", "emoji": emoji}]}
        return {"content": "x", "components": [row]}

    for junk in ({"name": "speckle"}, {"name": "speckle", "id": "1"}, {"name": ""}, {}):
        await at.refuses(pressed(junk))
    own = await rest.create_application_emoji(name="speckle", image=b"\x89PNG\r\n\x1a\n")
    for emoji in ({"name": "speckle", "id": str(own.id)}, {"name": "⚙️"}, {"name": "🇳🇴"}):
        assert (await at.post(pressed(emoji))).status == 200


async def test_a_reply_to_an_unknown_message_is_refused(at: Asking, guild: SandboxGuild) -> None:
    codes = await at.refuses({"content": "x", "message_reference": {"message_id": "1"}})
    assert codes == {"REPLIES_UNKNOWN_MESSAGE"}
    elsewhere = guild.add_channel("elsewhere")
    other = await at.post({"content": "there"}, elsewhere)
    await at.refuses({"content": "x", "message_reference": {"message_id": other.body["id"]}})
    reference = {"message_id": other.body["id"], "channel_id": str(elsewhere.id)}
    await at.refuses({"content": "x", "message_reference": reference})
    await at.refuses({"content": "x", "message_reference": {}})
    await at.refuses({"content": "x", "message_reference": reference | {"type": 7}})


async def test_a_reply_takes_the_right_to_read_what_was_said(
    at: Asking, guild: SandboxGuild
) -> None:
    first = await at.post({"content": "x"})
    at.channel.deny(None, "read_message_history")
    reply = {"content": "x", "message_reference": {"message_id": first.body["id"]}}
    assert (await at.post(reply)).body["code"] == 160002


@pytest.mark.parametrize(
    "poll",
    [
        {"question": {"text": " "}},
        {"question": {"text": "x" * 301}},
        {"answers": []},
        {"answers": [{"poll_media": {"text": "x"}}] * 11},
        {"answers": [{"poll_media": {"text": "x" * 56}}]},
        {"answers": [{"poll_media": {"text": "x", "emoji": {"name": "no"}}}]},
        {"answers": [{"text": "x"}]},
        {"duration": 0},
        {"duration": 769},
        {"layout_type": 2},
        {"allow_multiselect": "yes"},
    ],
    ids=str,
)
async def test_a_poll_that_nobody_could_answer_is_refused(at: Asking, poll: JSON) -> None:
    good = {"question": {"text": "Which?"}, "answers": [{"poll_media": {"text": "This"}}]}
    await at.refuses({"poll": good | poll})
    await at.refuses(v2(text("x")) | {"poll": good})


@pytest.mark.parametrize(
    "body",
    [
        {"sticker_ids": ["1", "2", "3", "4"]},
        {"nonce": 1.5},
        {"nonce": True},
        {"flags": 4.0},
        {"flags": 1e308},
        {"tts": "yes"},
        {"attachments": [{"id": "0", "description": "x" * 1025}]},
    ],
    ids=str,
)
async def test_other_values_out_of_range_are_refused(at: Asking, body: JSON) -> None:
    await at.refuses({"content": "x"} | body)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=many", "before=yesterday", "after=-1"]
)
async def test_a_page_of_messages_that_there_cannot_be_is_refused(at: Asking, query: str) -> None:
    said = await at.ask("GET", f"/channels/{at.channel.id}/messages?{query}")
    assert (said.status, said.body["code"]) == (400, 50035)


@pytest.mark.parametrize(
    "body",
    [
        {"name": "  "},
        {"name": "x" * 101},
        {"name": "x", "type": 0},
        {"name": "x", "type": 10},
        {"name": "x", "auto_archive_duration": 5},
        {"name": "x", "rate_limit_per_user": 21_601},
        {"name": "x", "invitable": "yes"},
    ],
    ids=str,
)
async def test_a_thread_that_there_cannot_be_is_refused(at: Asking, body: JSON) -> None:
    said = await at.ask("POST", f"/channels/{at.channel.id}/threads", body)
    assert (said.status, said.body["code"]) == (400, 50035)


async def test_a_topic_that_is_too_long_is_refused(at: Asking, guild: SandboxGuild) -> None:
    guild.set_bot_permissions("manage_channels")
    path = f"/channels/{at.channel.id}"
    assert (await at.ask("PATCH", path, {"topic": "x" * 1025})).status == 400
    assert (await at.ask("PATCH", path, {"name": "  "})).status == 400
    assert (await at.ask("PATCH", path, {"topic": "x" * 1024})).status == 200


# ── commands ──────────────────────────────────────────────────────────────────────────────────


async def test_a_language_that_discord_does_not_speak_is_refused(at: Asking) -> None:
    for locale in ("xx", "en", "de-DE", "DE"):
        await at.refuses_command({"name_localizations": {locale: "los"}})
        await at.refuses_command({"description_localizations": {locale: "Los"}})
        await at.refuses_option({"name_localizations": {locale: "text"}})
        choice = {"name": "A", "value": "a", "name_localizations": {locale: "A"}}
        await at.refuses_option({"choices": [choice]})


async def test_a_translated_name_keeps_the_rules_of_names(at: Asking) -> None:
    for name in ("Los", "los gehts", "x" * 33, " "):
        await at.refuses_command({"name_localizations": {"de": name}})
    await at.refuses_command({"description_localizations": {"de": "x" * 101}})


@pytest.mark.parametrize("key", ["contexts", "integration_types"])
@pytest.mark.parametrize("value", [[3], [], [0, 0], ["guild"], 0, [True]], ids=str)
async def test_a_context_that_there_is_not_is_refused(at: Asking, key: str, value: Any) -> None:
    await at.refuses_command({key: value})


async def test_a_channel_type_that_there_is_not_is_refused(at: Asking) -> None:
    for types in ([6], [99], [0, 0], ["text"], 0):
        await at.refuses_option({"type": 7, "channel_types": types})
    await at.refuses_option({"type": 3, "channel_types": [0]})


async def test_two_choices_of_one_name_are_refused(at: Asking) -> None:
    choices = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    codes = await at.refuses_option({"choices": choices})
    assert codes == {"APPLICATION_COMMAND_OPTIONS_CHOICE_NAME_DUPLICATE"}


@pytest.mark.parametrize("kind", [5, 6, 7, 8, 9, 11])
async def test_only_texts_and_numbers_complete_and_have_choices(at: Asking, kind: int) -> None:
    await at.refuses_option({"type": kind, "autocomplete": True})
    await at.refuses_option({"type": kind, "choices": [{"name": "A", "value": "a"}]})


@pytest.mark.parametrize(
    "option",
    [
        {"min_length": 2, "max_length": 1},
        {"min_length": -1},
        {"max_length": 0},
        {"max_length": 6001},
        {"min_value": 1},
        {"type": 4, "min_value": 2, "max_value": 1},
        {"type": 4, "min_value": 1.5},
        {"type": 4, "max_value": 1 << 53},
        {"type": 4, "min_length": 1},
        {"type": 4, "choices": [{"name": "A", "value": "1"}]},
        {"type": 4, "choices": [{"name": "A", "value": 1.5}]},
        {"type": 10, "max_value": 1e17},
        {"type": 3, "options": [{"type": 3, "name": "x", "description": "x"}]},
        {"choices": [{"name": "A", "value": 1}]},
        {"choices": [{"name": " ", "value": "a"}]},
        {"choices": [{"name": "A", "value": "a"}], "autocomplete": True},
    ],
    ids=str,
)
async def test_an_option_that_asks_for_what_cannot_be_is_refused(at: Asking, option: JSON) -> None:
    await at.refuses_option(option)


async def test_subcommands_stand_alone_and_are_two_levels_deep_at_most(at: Asking) -> None:
    leaf = {"type": 3, "name": "leaf", "description": "A text"}
    sub = {"type": 1, "name": "sub", "description": "Below", "options": [leaf]}
    group = {"type": 2, "name": "group", "description": "Several", "options": [sub]}
    await at.refuses_command({"options": [sub, leaf]})
    await at.refuses_command({"options": [group | {"options": [leaf]}]})
    await at.refuses_command({"options": [group | {"options": [group]}]})
    await at.refuses_command({"options": [sub | {"options": [sub]}]})
    await at.refuses_command({"options": [sub | {"required": True}]})
    taken = await at.register({"name": "go", "description": "Go", "options": [group]})
    assert taken.status == 200, taken.body


@pytest.mark.parametrize("kind", [2, 3])
async def test_the_sixteenth_command_of_a_menu_is_refused(at: Asking, kind: int) -> None:
    commands = [{"type": kind, "name": f"Do {number}"} for number in range(16)]
    said = await at.register(*commands)
    assert (said.status, said.body["code"]) == (400, 50035)
    assert (await at.register(*commands[:15])).status == 200
    path = f"/applications/{at.sandbox.bot_id}/commands"
    one_more = await at.ask("POST", path, commands[15])
    assert (one_more.status, one_more.body["code"]) == (400, 30032)
    assert (await at.ask("POST", path, commands[0])).status == 200


async def test_the_101st_typed_command_is_refused(at: Asking) -> None:
    commands = [{"name": f"go{number}", "description": "Go"} for number in range(101)]
    assert (await at.register(*commands)).status == 400
    assert (await at.register(*commands[:100])).status == 200


async def test_a_command_of_a_menu_has_no_description_and_no_options(at: Asking) -> None:
    menu = {"type": 3, "name": "Why is this here?"}
    option = {"type": 3, "name": "text", "description": "A text"}
    for more in ({"description": "x"}, {"options": [option]}, {"name": " "}, {"name": "x" * 33}):
        assert (await at.register(menu | more)).status == 400
    assert (await at.register(menu | {"description": ""})).status == 200


async def test_a_command_cannot_take_another_s_name_or_another_type(at: Asking) -> None:
    both = ({"name": "go", "description": "Go"}, {"name": "stop", "description": "Stop"})
    said = await at.register(*both)
    path = f"/applications/{at.sandbox.bot_id}/commands/{said.body[0]['id']}"
    taken = await at.ask("PATCH", path, {"name": "stop"})
    assert (taken.status, taken.body["code"]) == (400, 40041)
    assert (await at.ask("PATCH", path, {"type": 3})).status == 400
    assert (await at.ask("PATCH", path, {"name": "halt", "description": "Halt"})).body[
        "name"
    ] == "halt"


@pytest.mark.parametrize("value", [-1, "many", 1 << 54, True, "-1"], ids=str)
async def test_permissions_that_there_are_not_are_refused(at: Asking, value: Any) -> None:
    await at.refuses_command({"default_member_permissions": value})


# ── interactions ──────────────────────────────────────────────────────────────────────────────


async def answered(at: Asking, kind: int, *data: JSON) -> list[Said]:
    """What Discord says to these first answers of one interaction, tried in turn."""
    world, guild = at.sandbox.world, at.channel.guild
    assert guild is not None
    asked = world.open_interaction(2 if kind == 9 else 4, at.channel, guild.owner)
    path = f"/interactions/{asked.id}/{asked.token}/callback"
    return [await at.ask("POST", path, {"type": kind, "data": one}) for one in data]


def field(**component: Any) -> JSON:
    inside = {"type": 18, "label": "What", "component": {"custom_id": "x"} | component}
    return {"title": "Form", "custom_id": "form", "components": [inside]}


OPTIONS = [{"label": one, "value": one} for one in ("a", "b", "c")]
CHOSEN = [one | {"default": True} for one in OPTIONS]


@pytest.mark.parametrize(
    "form",
    [
        field(type=4, style=1) | {"title": " "},
        field(type=4, style=1) | {"components": []},
        field(type=4, style=1, min_length=5, max_length=4),
        field(type=4, style=1, min_length=4001),
        field(type=4, style=1, value="xx", max_length=1),
        field(type=3, options=OPTIONS, disabled=True),
        field(type=3, options=OPTIONS, min_values=0),
        field(type=3, options=CHOSEN),
        field(type=21, options=OPTIONS[:1]),
        field(type=21, options=CHOSEN),
        field(type=21, options=OPTIONS * 4),
        field(type=22, options=[]),
        field(type=22, options=OPTIONS, max_values=4),
        field(type=22, options=CHOSEN, max_values=2),
        field(type=22, options=[*OPTIONS, OPTIONS[0]]),
        field(type=22, options=OPTIONS, min_values=0),
        field(type=23, default="yes"),
        field(type=19, max_values=11),
        field(type=19, min_values=2),
        field(type=5, default_values=[{"id": "1", "type": "channel"}]),
        field(type=2, style=1, label="x"),
        field(type=23) | {"custom_id": ""},
    ],
    ids=str,
)
async def test_a_form_that_nobody_could_fill_in_is_refused(at: Asking, form: JSON) -> None:
    [said] = await answered(at, 9, form)
    assert (said.status, said.body["code"]) == (400, 50035)


async def test_forms_that_can_be_filled_in_are_taken(at: Asking) -> None:
    for form in (
        field(type=22, options=CHOSEN),
        field(type=22, options=OPTIONS, required=False, min_values=0),
        field(type=3, options=OPTIONS, required=False, min_values=0, max_values=3),
        field(type=19, required=False, min_values=0, max_values=10),
    ):
        [said] = await answered(at, 9, form)
        assert said.status == 204, said.body


async def test_completions_that_a_client_could_not_show_are_refused(at: Asking) -> None:
    for choices in (
        [{"name": "x", "value": "x"}] * 26,
        [{"name": " ", "value": "x"}],
        [{"name": "x" * 101, "value": "x"}],
        [{"name": "x", "value": 1}],
        [{"name": "x"}],
        None,
    ):
        [said] = await answered(at, 8, {"choices": choices})
        assert (said.status, said.body["code"]) == (400, 50035), choices


async def test_channels_in_interactions_say_what_the_bot_may_do_in_them(
    sandbox: Sandbox,
    guild: SandboxGuild,
    channel: SandboxChannel,
    maren: SandboxMember,
    connect: Connect,
) -> None:
    client = Client()
    heard: list[Any] = []
    plans = guild.add_channel("plans")
    plans.deny(guild.bot, "send_messages")

    @client.tree.command(description="Looks at a channel")
    async def look(interaction: discord.Interaction, where: discord.TextChannel) -> None:
        heard.append(interaction.data)
        await interaction.response.send_message(where.name)

    async with connect(client):
        await sandbox.command(guild, channel, maren, "look", where=plans)
    [data] = heard
    [shown] = data["resolved"]["channels"].values()
    may = discord.Permissions(int(shown["app_permissions"]))
    assert (may.view_channel, may.send_messages) == (True, False)
    assert discord.Permissions(int(shown["permissions"])).send_messages
