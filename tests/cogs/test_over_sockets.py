"""The commands as people use them: typed and pressed in the sandbox Discord."""

from bot.db.rows import HookState, SubscriptionState
from bot.sandbox import Answer, Sandbox
from bot.storage import Storage
from tests.cogs.conftest import RunClient, Studio
from tests.services.conftest import CLOUD, PAVILION, TOWER


def text_of(answer: Answer) -> str:
    """Everything that an answer shows."""
    parts = [answer.content or ""]
    for embed in answer.embeds:
        parts += [embed.get("title", ""), embed.get("description", "")]
        parts += [f"{field['name']}\n{field['value']}" for field in embed.get("fields", ())]
        parts.append(embed.get("footer", {}).get("text", ""))
    return "\n".join(part for part in parts if part)


async def test_subscribe_shows_the_set_up_to_the_caller_and_one_line_to_the_channel(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    async with run_client():
        answer = await studio.type("subscribe", stream_id=f"{CLOUD}/projects/{TOWER}")
        public = await studio.sandbox.wait_for_messages(studio.structure.id, 1, 5)
    hook = (await storage.hooks.of_guild(studio.guild.id))[0]
    assert answer.ephemeral
    assert hook.key is not None
    assert hook.key in text_of(answer)
    assert hook.secrets[0] in text_of(answer)
    assert len(public) == 1
    assert "now follows" in public[0].content
    assert hook.key not in public[0].content
    assert hook.secrets[0] not in public[0].content
