"""Links that people paste, and links that cards show."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import NotASpeckleLink
from bot.speckle.links import Links, LinkTarget, SpeckleLink, normalise_server_url, parse_link

P, M, V, C = "7e14d973e6", "193f26c0fa", "303fecc468", "858c7ede18"
APP = "https://app.speckle.systems"
VERSION = SpeckleLink(APP, P, (M,), V, target=LinkTarget.VERSION)
THREAD = SpeckleLink(APP, P, thread_id=C, target=LinkTarget.THREAD)


def model_of(*models: str) -> SpeckleLink:
    return SpeckleLink(APP, P, models, target=LinkTarget.MODELS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (P, SpeckleLink(None, P)),
        (f" <{APP}/projects/{P}> ", SpeckleLink(APP, P)),
        (f"app.speckle.systems/projects/{P}/", SpeckleLink(APP, P)),
        (f"{APP}/projects/{P}/models/{M}", model_of(M)),
        (f"{APP}/projects/{P}/models/{M}@{V}", VERSION),
        (f"{APP}/projects/{P}/models/{M}%40{V}", VERSION),
        (f"{APP}/projects/{P}/models/{M}/versions", model_of(M)),
        (
            f"{APP}/projects/{P}/models/{M}@{V}#threadId={C}",
            replace(VERSION, thread_id=C, target=LinkTarget.THREAD),
        ),
        (f"{APP}/projects/{P}/models/{M},{V}", model_of(M, V)),
        (f"{APP}/projects/{P}/models/all", SpeckleLink(APP, P)),
        (f"{APP}/projects/{P}/threads/{C}", THREAD),
        (f"{APP}/projects/{P}/settings/webhooks?a=b", SpeckleLink(APP, P)),
        (f"http://Speckle.Example:3000/streams/{P}", SpeckleLink("http://speckle.example:3000", P)),
        (
            f"{APP}/streams/{P}/branches/Structure/level%201",
            model_of("structure/level 1"),
        ),
        (
            f"{APP}/streams/{P}/branches/structure%2Flevel%201",
            model_of("structure/level 1"),
        ),
        (
            f"{APP}/streams/{P}/commits/{V}?cId={C}",
            replace(THREAD, version_id=V),
        ),
    ],
)
def test_links_old_and_new_are_read(text: str, expected: SpeckleLink) -> None:
    assert parse_link(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "harbour tower",
        "7e14d973",
        APP,
        f"{APP}/projects/",
        f"{APP}/projects/new",
        f"{APP}/profile/{P}",
        f"ftp://app.speckle.systems/projects/{P}",
        f"https://a:b@app.speckle.systems/projects/{P}",
        f"https://[::1/projects/{P}",
        f"https://a..b/projects/{P}",
        f"https://app.speckle.systems:x/projects/{P}",
        "/" * 3_000,
    ],
)
def test_anything_else_says_why_not(text: str) -> None:
    with pytest.raises(NotASpeckleLink) as error:
        parse_link(text)
    assert error.value.why


@pytest.mark.parametrize("former", ["speckle.xyz", "latest.speckle.systems"])
def test_a_link_to_a_former_address_leads_to_the_server_of_today(former: str) -> None:
    old = f"https://{former}/streams/{P}"
    assert parse_link(old, [APP]) == SpeckleLink(APP, P)
    own = f"https://{former}"
    assert parse_link(old, [APP, own]) == SpeckleLink(own, P)
    assert parse_link(old, ["https://speckle.example"]) == SpeckleLink(own, P)


@given(st.text() | st.text().map(lambda t: f"https://{t}") | st.text("/:@%#?[]a1.", max_size=40))
def test_any_text_is_a_link_or_none(text: str) -> None:
    try:
        parse_link(text)
    except NotASpeckleLink as error:
        assert error.why  # noqa: PT017


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://Speckle.Example/", "https://speckle.example"),
        ("https://speckle.example:443/path?x#y", "https://speckle.example"),
        ("http://speckle.example:443", "http://speckle.example:443"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("http://speckle.", "http://speckle"),
    ],
)
def test_a_servers_address_is_reduced_to_its_origin(text: str, origin: str) -> None:
    assert normalise_server_url(text) == origin


def test_todays_links_are_written() -> None:
    links = Links(APP)
    assert links.project(P) == f"{APP}/projects/{P}"
    assert links.model(P, M) == f"{APP}/projects/{P}/models/{M}"
    assert links.model(P, None, "a") == f"{APP}/projects/{P}"
    assert links.version(P, M, V) == f"{APP}/projects/{P}/models/{M}@{V}"
    assert links.version(P, None, V) == f"{APP}/streams/{P}/commits/{V}"
    assert links.thread(P, C, V) == f"{APP}/projects/{P}/threads/{C}"
    assert links.place(P, f"{M}@{V}") == f"{APP}/projects/{P}/models/{M}@{V}"
    assert links.place(P, "$a/b @c") == f"{APP}/projects/{P}/models/$a%2Fb%20%40c"
    assert links.issue(P, C, M) == f"{APP}/projects/{P}/models/{M}#threadId={C}"
    assert links.issue(P, C, None) == f"{APP}/projects/{P}/models/all#threadId={C}"
    assert links.webhook_settings(P) == f"{APP}/projects/{P}/settings/webhooks"
    assert links.token_settings() == f"{APP}/settings/user/developer"


def test_old_servers_get_the_links_that_they_know() -> None:
    links = Links(APP, legacy=True)
    assert links.project(P) == f"{APP}/streams/{P}"
    assert links.model(P, M, "a/b c") == f"{APP}/streams/{P}/branches/a/b%20c"
    assert links.model(P, M, "../../x") == f"{APP}/streams/{P}/branches/..%2F..%2Fx"
    assert links.version(P, M, V) == f"{APP}/streams/{P}/commits/{V}"
    assert links.thread(P, C, V) == f"{APP}/streams/{P}/commits/{V}?cId={C}"
    assert links.thread(P, C) == f"{APP}/streams/{P}"
    assert links.webhook_settings(P) == f"{APP}/streams/{P}/webhooks"


def test_an_id_can_never_lead_out_of_its_place() -> None:
    assert Links(APP).project("../x?y#z") == f"{APP}/projects/..%2Fx%3Fy%23z"
    assert parse_link(Links(APP).version(P, M, V)) == VERSION
