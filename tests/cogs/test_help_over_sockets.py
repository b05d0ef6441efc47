"""/help as people meet it: what they may use, with commands that can be clicked."""

import re

from tests.cogs.conftest import RunClient, Studio, text_of


async def test_help_lists_what_the_person_may_use_with_commands_that_can_be_clicked(
    run_client: RunClient, studio: Studio
) -> None:
    async with run_client():
        manager = await (await studio.type("help")).settled()
        member = await (await studio.type("help", who=studio.tobias, by_hand=False)).settled()
    clicked = dict(re.findall(r"</(\w+):(\d{17,20})>", text_of(manager)))
    assert {"subscribe", "subscriptions", "why", "events", "test", "doctor"} < clicked.keys()
    assert "To begin:" in text_of(manager)
    assert "*Only this model here*" in text_of(manager)
    assert manager.ephemeral
    assert "</why:" in text_of(member)
    assert "*Why is this here?*" in text_of(member)
    for hidden in ("</subscribe:", "</test:", "</doctor:", "</settings:", "Only this model"):
        assert hidden not in text_of(member)
    assert "members with *Manage Webhooks*" in text_of(member)


async def test_help_status_and_privacy_say_how_to_reach_the_person_who_runs_the_bot(
    run_client: RunClient, studio: Studio
) -> None:
    async with run_client(contact="bim@studio.example"):
        for command in ("help", "status", "privacy"):
            answer = await (await studio.type(command, who=studio.tobias)).settled()
            assert "The person who runs this bot\nbim@studio.example" in text_of(answer)
    async with run_client():
        answer = await (await studio.type("help")).settled()
    assert "The person who runs this bot" not in text_of(answer)


async def test_help_is_there_without_ids_where_discord_does_not_give_them(
    run_client: RunClient, studio: Studio
) -> None:
    async with run_client():
        studio.sandbox.faults.fail("GET *commands", status=403, code=50001)
        answer = await (await studio.type("help")).settled()
    assert "`/subscribe`" in text_of(answer)
