"""Which hosts are private, by their names alone."""

import pytest

from bot.hosts import PRIVATE_SUFFIXES, is_private_host


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost",
        "nas",
        "Bot.LOCAL",
        "bot.internal.",
        "home.arpa",
        "127.0.0.1",
        "10.1.2.3",
        "100.64.0.1",
        "169.254.169.254",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "2002:7f00:1::",
        *(f"nas{suffix}" for suffix in PRIVATE_SUFFIXES),
    ],
)
def test_nobody_outside_reaches_a_private_host(host: str) -> None:
    assert is_private_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "bot.kestrel.example",
        "local.kestrel.example",
        "mylocal.example",
        "192.0.46.8",
        "2a00::8",
        "64:ff9b::192.0.46.8",
    ],
)
def test_any_other_may_be_reached(host: str) -> None:
    assert not is_private_host(host)
