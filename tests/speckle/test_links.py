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


U = f"{APP}/projects/{P}"


@pytest.mark.parametrize(
    "text",
    [
        f"[Tower]({U})", f"[x](<{U}>)", f"<{U}>.", f"({U}).",
        f'"{U}"', f"“{U}”", f"«{U}»", f"'{U}'",
        f"`{U}`", f"**{U}**", f"||{U}||", f"> {U}",
        f"{U}...", f"{U}, please", f"see {U}: thanks!",
        f"「{U}」。", f"\u200b{U}\ufeff", f"{U}%20", f"{U}/?a=b",
        f"{U} {U}", f"[{U}]({U})", f"https:/app.speckle.systems/projects/{P}",
        f"http://app.speckle.systems/projects/{P}", f"http://app.speckle.systems:80/projects/{P}",
        f"{APP}/embed?stream={P}", f'<iframe src="{APP}/embed?stream={P}&amp;a=b" width="6">',
        f"{APP}/projects/{P}/discussions", f"{APP}/streams/{P}/objects/{32 * 'a'}",
        f"{APP}/projects/{P}/models/all", f"{APP}/projects/{P}/models/{32 * 'a'}",
    ],
)  # fmt: skip
def test_a_link_is_found_in_what_was_pasted(text: str) -> None:
    assert parse_link(text, [APP]) == SpeckleLink(APP, P)


@pytest.mark.parametrize(
    ("text", "models"),
    [
        (f"{U}/models/$structure%2Flevel%201", ("structure/level 1/**",)),
        (f"{U}/models/{M},$structure,{32 * 'a'}", (M, "structure/**")),
        (f"{U}/models/{M} and {U}/models/{V}.", (M, V)),
        (f"[{U}]({U}/models/{M})", (M,)),
        (f"{APP}/embed?branch=Structure%2Fa&stream={P}", ("structure/a",)),
        (f'{U}/models/{M}#embed={{"isEnabled":true}}', (M,)),
        (f"{U}/models/{M}/versions/{V}", (M,)),
    ],
)
def test_all_models_of_what_was_pasted_are_found(text: str, models: tuple[str, ...]) -> None:
    assert parse_link(text, [APP]).models == models


@pytest.mark.parametrize(
    ("text", "target"),
    [
        (f"{U}/versions/{V}", LinkTarget.VERSION),
        (f"{APP}/streams/{P}/commits/{V}", LinkTarget.VERSION),
        (f"{APP}/embed?stream={P}&commit={V}", LinkTarget.VERSION),
        (f"{U}/issues/{C}", LinkTarget.THREAD),
        (f"{U}/models/all#threadId={C}", LinkTarget.THREAD),
        (f"{APP}/streams/{P}/comments/{C}", LinkTarget.THREAD),
        (f"{U}/models/$a", LinkTarget.FOLDER),
    ],
)
def test_a_link_tells_what_it_leads_to(text: str, target: LinkTarget) -> None:
    assert parse_link(text, [APP]).target is target


def test_an_id_is_found_among_words_and_two_projects_are_too_many() -> None:
    assert parse_link(f"project {P}.") == SpeckleLink(None, P)
    for text in (f"{P} or {V}", f"{U} {APP}/projects/{V}"):
        with pytest.raises(NotASpeckleLink):
            parse_link(text)


def test_http_and_https_lead_to_the_server_that_there_is() -> None:
    servers = ["http://localhost:3000", "https://speckle.own.example:8443"]
    for text in ("https://localhost:3000", "http://speckle.own.example:8443"):
        assert parse_link(f"{text}/projects/{P}", servers).server_url in servers
    assert parse_link(f"http://speckle.xyz/streams/{P}", [APP]).server_url == APP
    assert parse_link(f"http://{APP[8:]}:443/projects/{P}", [APP]).server_url != APP


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
