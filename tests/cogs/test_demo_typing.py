"""What one types into the demo's terminal, and what the terminal shows of the answers."""

import pytest

from sandbox.demo.terminal import DemoGuild, do_typed
from sandbox.discord import InteractionView
from tests.cogs.conftest import RunClient, Studio
from tests.services.conftest import TOWER


async def test_a_way_to_go_on_is_shown_and_can_be_typed(
    run_client: RunClient, studio: Studio, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = DemoGuild(studio.sandbox, studio.guild, studio.maren, [studio.structure, studio.facade])
    answers: list[InteractionView] = []
    async with run_client():
        for line in (
            f"/subscribe stream_id:{TOWER}",
            "Set it up by hand",
            f"/subscribe stream_id:{TOWER} channel:#facade",
            "Set it up by hand",
            "/subscriptions",
            f"{TOWER} #structure",
            "/account",
            "Pause",  # of an answer before the last one
            "/help",
        ):
            answer = await do_typed(stage, line, answers)
            assert answer is not None
            answers.insert(0, answer)
    shown = capsys.readouterr().out
    assert "[Link my account] [Set it up by hand]" in shown
    assert "Channel: #structure" in shown
    assert "paused by @Maren Oduya" in shown
    assert "type /subscribe in a channel" in " ".join(shown.split())
    assert "</" not in shown


@pytest.mark.parametrize(
    "line", ["/subscribe stream_id:not a project", "Show set-up", '/subscribe "']
)
async def test_what_cannot_be_done_is_told_in_words(
    line: str, run_client: RunClient, studio: Studio, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = DemoGuild(studio.sandbox, studio.guild, studio.maren, [studio.structure])
    async with run_client():
        assert await do_typed(stage, line, []) is None
    shown = capsys.readouterr().out
    assert "That did not work" in shown
    assert "dictionary" not in shown
