"""PostgreSQL behind a real PgBouncer, in each of its modes."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from bot.cli.check.database import check_database
from bot.cli.check.report import CheckMark
from bot.errors import ConfigError
from bot.model import HookKind
from bot.settings import Settings
from bot.storage import Storage, schema_version
from bot.vault import Vault

PGBOUNCER = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"

pytestmark = pytest.mark.skipif(
    not Path(PGBOUNCER).exists(), reason="PgBouncer is not installed (Debian: pgbouncer)"
)

Pool = Callable[..., str]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def pgbouncer(folder: Path, url: str, mode: str, more: str) -> Iterator[str]:
    """A pool in front of this database; gives its address."""
    there, port = make_url(url), free_port()
    host, name = there.query.get("host", there.host), there.database
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n{name} = host={host} dbname={name} user={there.username}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = any\npool_mode = {mode}\n{more}\n"
    )
    # It refuses to run as root, and has to reach the server's socket.
    as_whom = ("-u", Path(str(host)).owner()) if os.geteuid() == 0 else ()
    process = subprocess.Popen([PGBOUNCER, *as_whom, "-q", settings])
    try:
        _listens(port)
        yield there.set(host="127.0.0.1", port=port, query={}).render_as_string(False)
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("PgBouncer does not listen")


@pytest.fixture
def pool(postgres_url: str, tmp_path: Path) -> Iterator[Pool]:
    with ExitStack() as stack:

        def start(mode: str, more: str = "") -> str:
            return stack.enter_context(pgbouncer(tmp_path, postgres_url, mode, more))

        yield start


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("more", ["", "server_round_robin = 1", "default_pool_size = 1"])
async def test_a_pooler_that_shares_sessions_is_refused_with_the_reason(
    mode: str, more: str, pool: Pool, vault: Vault
) -> None:
    url = pool(mode, more)
    for _ in range(2):  # the second time the pool has sessions at hand
        with pytest.raises(ConfigError, match="a pooler in transaction mode") as caught:
            async with Storage.open(url, vault):
                pass
        assert "pool_mode = session" in str(caught.value)
    with pytest.raises(ConfigError):
        await schema_version(url)


async def test_check_says_so(pool: Pool) -> None:
    rows = await check_database(Settings(database_url=pool("transaction")))
    assert rows[0].mark is CheckMark.BAD
    assert "a pooler in transaction mode" in rows[0].text


async def test_in_session_mode_the_bot_works(pool: Pool, vault: Vault) -> None:
    url = pool("session")
    async with Storage.open(url, vault) as storage, Storage.open(url, vault) as other:
        assert await storage.lead()
        assert not await other.lead()
        await storage.write(lambda tx: tx.guilds.join(1))
        hook = await storage.write(
            lambda tx: tx.hooks.create(1, "https://s.example", "p", HookKind.OWN, 2, None)
        )
        assert await other.hook_lookup.by_key(hook.key or "") == hook
        assert await storage.lead()
