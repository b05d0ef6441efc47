"""Settings: which layer wins, and what a host is told about those that cannot be used."""

from pathlib import Path
from typing import Final

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from bot.errors import ConfigError, Problem
from bot.settings import Settings, load_settings, misspelt_names
from bot.speckle.tokens import SpeckleApp

TOKEN: Final = "MTE4MDAwMDAwMDAwMDAwMDAwMQ.GabcDe.kJ8sL0pQ2rT4vW6xY8zA1bC3dE5fG7hI9jK1lM"
KEY: Final = Fernet.generate_key().decode()
PLAIN_KEY: Final = f"{'A' * 43}="


class Host:
    """Somebody's folder with config.toml and .env, and an environment."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config.toml"
        self.env = folder / ".env"
        self.environ: dict[str, str] = {}

    def load(self, *required: str) -> Settings:
        return load_settings(self.config, self.env, self.environ, required)

    def problems(self, *required: str) -> tuple[Problem, ...]:
        with pytest.raises(ConfigError) as caught:
            self.load(*required)
        return caught.value.problems

    def problem(self) -> Problem:
        (problem,) = self.problems()
        return problem


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_an_address_of_sqlite_as_it_was_written_once_is_taken(host: Host) -> None:
    host.environ["DATABASE_URL"] = "sqlite+aiosqlite:///data/bot.db"
    settings = host.load()
    assert settings.database_url == "sqlite:///data/bot.db"


def test_with_nothing_set_the_defaults_hold(host: Host) -> None:
    settings = host.load()
    assert settings == Settings()
    assert settings.database_url == "sqlite:///data/bot.db"
    assert settings.webhook_port == 8003
    assert settings.speckle_servers == ("https://app.speckle.systems",)


def test_env_file_wins_over_config_and_environment_over_both(host: Host) -> None:
    host.config.write_text('webhook_port = 1\nlog_level = "error"\npublic_url = "https://a.test"\n')
    host.env.write_text("WEBHOOK_PORT=2\nLOG_LEVEL=warning\n")
    host.environ["WEBHOOK_PORT"] = "3"
    settings = host.load()
    assert settings.webhook_port == 3
    assert settings.log_level == "warning"
    assert settings.public_url == "https://a.test"


def test_our_own_name_wins_over_the_name_that_other_programs_use(host: Host) -> None:
    host.env.write_text("REQUESTS_CA_BUNDLE=/theirs.pem\nSSL_CERT_FILE=/ours.pem\n")
    host.environ |= {"http_proxy": "theirs:1", "HTTP_PROXY": "ours:1", "no_proxy": "a.test"}
    settings = host.load()
    assert settings.ssl_cert_file == "/ours.pem"
    assert (settings.http_proxy, settings.no_proxy) == ("http://ours:1", ("a.test",))


def test_an_empty_value_counts_as_unset(host: Host) -> None:
    host.config.write_text('public_url = ""\ndiscord_api_url = ""\nlog_level = "error"\n')
    host.env.write_text("WEBHOOK_PORT=\nDISCORD_TOKEN=''\nLOG_LEVEL\n")
    host.environ = {"ENCRYPTION_KEYS": "", "LOG_LEVEL": " "}
    settings = host.load()
    assert settings == Settings(log_level="error")


def test_files_from_a_windows_editor_are_read(host: Host) -> None:
    host.config.write_bytes(b"\xef\xbb\xbfwebhook_port = 1\r\n[delivery]\r\nconcurrency = 2\r\n")
    host.env.write_bytes(b"\xef\xbb\xbfLOG_FORMAT=JSON\r\nLOG_LEVEL=Error\r\n")
    settings = host.load()
    assert (settings.webhook_port, settings.delivery.concurrency) == (1, 2)
    assert (settings.log_format, settings.log_level) == ("json", "error")


def test_every_plain_name_is_read_from_the_environment(host: Host) -> None:
    other = Fernet.generate_key().decode()
    host.environ = {
        "DISCORD_TOKEN": f" {TOKEN}\n",
        "ENCRYPTION_KEYS": f"{KEY}, {other}",
        "SPECKLE_TOKEN": "a" * 42,
        "SPECKLE_WEBHOOK_SECRET": "tide and $TIMBER",
        "SPECKLE_APPS": "4a8173073e:aa11bb22cc, 5b9284184f:dd@http://10.0.0.7:3000/",
        "DATABASE_URL": "postgresql+psycopg://bot:pass@db/bot",
        "PUBLIC_URL": "https://Bot.Example.com/speckle/",
        "WEBHOOK_HOST": "0.0.0.0",  # noqa: S104
        "WEBHOOK_PORT": "80",
        "SPECKLE_SERVERS": "https://Speckle.Kestrel.example/, http://10.0.0.7:3000",
        "DISCORD_API_URL": "http://proxy:8080",
        "LOG_LEVEL": "debug",
        "LOG_FORMAT": "console",
    }
    assert host.load() == Settings(
        discord_token=SecretStr(TOKEN),
        encryption_keys=(SecretStr(KEY), SecretStr(other)),
        speckle_token=SecretStr("a" * 42),
        speckle_webhook_secret=SecretStr("tide and $TIMBER"),
        speckle_apps=(
            SecretStr("4a8173073e:aa11bb22cc"),
            SecretStr("5b9284184f:dd@http://10.0.0.7:3000/"),
        ),
        database_url="postgresql+psycopg://bot:pass@db/bot",
        public_url="https://bot.example.com/speckle",
        webhook_host="0.0.0.0",  # noqa: S104
        webhook_port=80,
        speckle_servers=("https://speckle.kestrel.example", "http://10.0.0.7:3000"),
        discord_api_url="http://proxy:8080/api/v10",
        log_level="debug",
        log_format="console",
    )


def test_a_dollar_in_a_secret_is_a_dollar(host: Host) -> None:
    host.env.write_text("SPECKLE_WEBHOOK_SECRET='tide ${HOME} #1'\n")
    secret = host.load().speckle_webhook_secret
    assert secret is not None
    assert secret.get_secret_value() == "tide ${HOME} #1"


def test_guild_ids_may_stand_in_quotes(host: Host) -> None:
    host.config.write_text('[organisation]\nguilds = [710000000000000001, "710000000000000002"]\n')
    assert host.load().organisation.guilds == (710000000000000001, 710000000000000002)


@pytest.mark.parametrize(
    ("toml", "line", "says"),
    [
        ("\nwebhook_prt = 1", 2, "Did you mean webhook_port?"),
        ("[delivery]\n\nconcurency = 1", 3, "Did you mean concurrency?"),
        ("concurrency = 1", 1, "Did you mean concurrency in [delivery]?"),
        ("[delivery]\nwebhook_port = 1", 2, "webhook_port, above the first [section]?"),
        ("[retension]\nleft_guild_days = 1", 1, "Did you mean the section [retention]?"),
        ("delivery.concurency = 1", 1, "Did you mean concurrency?"),
        ("x = 1", 1, "docs/configuration.md lists every setting"),
    ],
)
def test_a_misspelt_key_is_named_with_its_line_and_the_nearest_key(
    toml: str, line: int, says: str, host: Host
) -> None:
    host.config.write_text(toml)
    problem = host.problem()
    assert problem.where == f"config.toml, line {line}"
    assert "is no setting that the bot knows" in problem.what
    assert says in problem.hint


@pytest.mark.parametrize(
    ("toml", "line", "what", "hint"),
    [
        ('log_level = "loud"', 1, '("loud") is not one of debug, info', 'log_level = "info"'),
        ('#\nwebhook_port = "x"', 2, '("x") is not a whole number from 0', "webhook_port = 8003"),
        ('[delivery]\nemoji = "yes"', 2, '("yes") is not true or false.', "emoji = false"),
        ("webhook_port = true", 1, "(true) is not a whole number", "webhook_port = 8003"),
        ("webhook_port = 70000", 1, "(70000) is not a whole number", "webhook_port = 8003"),
        ("[delivery]\nconcurrency = 0", 2, "concurrency in [delivery] (0)", "concurrency = 64"),
        ("[speckle]\nenrich_deadline_s = nan", 2, "(nan) is not a number", "= 5.0"),
        ("[operator]\nchannel = -1", 2, "(-1) is not a Discord channel id", "channel = 0"),
        ("[organisation]\nguilds = 7", 2, "is not a list of Discord server ids", "guilds = [1180"),
        ('[organisation]\nguilds = ["x"]', 2, "is not a list of Discord server ids", "[1180"),
        ('speckle_servers = "https://a.test"', 1, "is not a list of addresses", '["https://app'),
        ("speckle_servers = []", 1, "names no server", "https://app.speckle.systems"),
        ('speckle_servers = ["ftp://a"]', 1, "cannot be a Speckle server", "https://host"),
        ("delivery = 3", 1, "is a section, not a value", "[delivery]"),
        ("public_url = 5", 1, "(5) is not text", "https://bot.example.com"),
    ],
)
def test_an_unknown_value_is_named_with_its_line_and_one_that_would_do(
    toml: str, line: int, what: str, hint: str, host: Host
) -> None:
    host.config.write_text(toml)
    problem = host.problem()
    assert problem.where == f"config.toml, line {line}"
    assert what in problem.what
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("toml", "line"),
    [("a =", 1), ("\n\nx = [1,", 3), ("x = 1\nx = 2", 2), ('x = "open', 1), ("just words", 1)],
)
def test_what_is_no_toml_is_named_with_its_line(toml: str, line: int, host: Host) -> None:
    host.config.write_text(toml)
    problem = host.problem()
    assert problem.where == f"config.toml, line {line}"
    assert "cannot be read as TOML" in problem.what


def test_what_is_no_utf_8_is_said(host: Host) -> None:
    host.config.write_bytes(b'log_level = "\xff"')
    assert "not UTF-8" in host.problem().what


def test_what_is_no_line_of_an_env_file_is_named_with_its_line(host: Host) -> None:
    host.env.write_text('\n# so\nLOG_LEVEL=info\n\nPUBLIC_URL="https://never-closed\n')
    problem = host.problem()
    assert problem.where == ".env, line 5"
    assert "is not NAME=value" in problem.what


@pytest.mark.parametrize("place", ["{}", "[webhook]\n{}", "[whatever]\n{}"])
@pytest.mark.parametrize("name", ["discord_token", "ENCRYPTION_KEYS", "speckle_token"])
def test_secrets_are_refused_in_config_toml(name: str, place: str, host: Host) -> None:
    host.config.write_text(place.format(f'{name} = "{TOKEN}"'))
    problem = host.problems()[0] if "whatever" not in place else host.problems()[1]
    assert f"put it in .env as {name.upper()}=" in problem.hint
    assert TOKEN not in str(problem)


@pytest.mark.parametrize(
    ("token", "says"),
    [
        ("hello", "three parts"),
        (f"Bot {TOKEN}", "a word before the token"),
        ("1180000000000000001", "an application id"),
        ("0123456789abcdef" * 4, "a public key"),
        ("kJ8sL0pQ2rT4vW6xY8zA1bC3dE5fG7hI", "a client secret"),
        (TOKEN.replace(".", ":"), "three parts"),
    ],
)
def test_a_token_that_is_none_is_said_and_never_shown(token: str, says: str, host: Host) -> None:
    host.env.write_text(f"#\nDISCORD_TOKEN={token}\n")
    problem = host.problem()
    assert problem.where == ".env, line 2"
    assert says in problem.what
    assert token not in str(problem)


@pytest.mark.parametrize(
    "keys",
    ["short", KEY[:-1], f"{KEY};{KEY}", f"{KEY},{KEY[:-2]}!="],
    ids=["short", "cut off", "a semicolon", "one of two"],
)
def test_an_encryption_key_that_is_none_is_said_and_never_shown(keys: str, host: Host) -> None:
    host.environ["ENCRYPTION_KEYS"] = keys
    problem = host.problem()
    assert "no valid key in place" in problem.what
    assert f"python3 run.py {'check' if ',' in keys else 'key'}" in problem.hint
    assert KEY[:10] not in str(problem)


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("postgresql://bot:hush@db/bot", "postgresql+psycopg://"),
        ("postgres://bot:hush@db/bot", "postgresql+psycopg://"),
        ("sqlite+pysqlite:///hush.db", "sqlite://"),
        ("mysql://bot:hush@db/bot", "sqlite:///data/bot.db"),
        ("sqlite://", "sqlite:///data/bot.db"),
        ("hush.db", "sqlite:///data/bot.db"),
    ],
)
def test_a_database_without_a_known_driver_gets_the_hint(url: str, hint: str, host: Host) -> None:
    host.environ["DATABASE_URL"] = url
    problem = host.problem()
    assert hint in problem.hint
    assert "hush" not in str(problem)


@pytest.mark.parametrize(
    "url", ["bot.example.com", "ftp://a.test", "https://a.test/?q=1", "https://", "https://u:p@a.b"]
)
def test_a_public_url_is_an_address_and_perhaps_a_path(url: str, host: Host) -> None:
    host.environ["PUBLIC_URL"] = url
    assert host.problem().what.startswith("PUBLIC_URL ")


@pytest.mark.parametrize("listen", ["http://0.0.0.0", "0.0.0.0:8003", "two words", "1.2.3"])
def test_a_webhook_host_is_something_to_listen_on(listen: str, host: Host) -> None:
    host.environ["WEBHOOK_HOST"] = listen
    assert "127.0.0.1" in host.problem().hint


def test_every_problem_is_said_at_once_in_the_order_of_the_files(host: Host) -> None:
    host.config.write_text("webhook_prt = 1\n[delivery]\nconcurrency = 0\n")
    host.env.write_text("LOG_LEVEL=loud\n")
    host.environ["DATABASE_URL"] = "mysql://x/y"
    problems = host.problems("discord_token", "encryption_keys")
    assert [problem.where for problem in problems] == [
        ".env",
        ".env",
        ".env, line 1",
        "config.toml, line 1",
        "config.toml, line 3",
        "environment",
    ]
    assert "DISCORD_TOKEN is not set." in str(problems[0])
    assert "python3 run.py key" in str(problems[1])
    assert all("\n" not in str(problem) for problem in problems)


def test_misspelt_names_in_an_env_file_are_noticed_and_others_let_be(host: Host) -> None:
    host.env.write_text("DISCORD_TOKN=1\nPATH=/bin\n\nspeckle_server=x\nCOMPOSE_FILE=y\n")
    assert host.load() == Settings()
    found = [(problem.where, problem.hint) for problem in misspelt_names(host.env)]
    assert found == [
        (".env, line 1", "Did you mean DISCORD_TOKEN?"),
        (".env, line 4", "Did you mean SPECKLE_SERVERS?"),
    ]


# ── values that lost their shape on the way ──


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("DISCORD_TOKEN", f'"{TOKEN}"', "has a quotation mark around it"),
        ("DISCORD_TOKEN", f"“{TOKEN}”", "has a quotation mark around it"),
        ("DISCORD_TOKEN", f"'{TOKEN}", "has a quotation mark around it"),
        ("DISCORD_TOKEN", f"{TOKEN} # the bot's", "has a comment (#) behind it"),
        ("DISCORD_TOKEN", f"\ufeff{TOKEN}", "holds an invisible character (U+FEFF)"),
        ("DISCORD_TOKEN", f"{TOKEN}\u200b", "holds an invisible character (U+200B)"),
        ("DISCORD_TOKEN", f"DISCORD_TOKEN={TOKEN}", "begins with its own name"),
        ("DISCORD_TOKEN", f"{TOKEN}\\n", "ends in a backslash and a letter"),
        ("ENCRYPTION_KEYS", f'"{PLAIN_KEY}","{PLAIN_KEY}"', "has a quotation mark around it"),
        ("ENCRYPTION_KEYS", f"{PLAIN_KEY}\n{PLAIN_KEY}", "holds an invisible character (U+000A)"),
        ("SPECKLE_SERVERS", '["https://a.test"]', "is written as a list in brackets"),
        ("PUBLIC_URL", "'https://a.test'", "has a quotation mark around it"),
        ("PUBLIC_URL", "https://a.test\t# the tunnel", "has a comment (#) behind it"),
        ("PUBLIC_URL", " # not yet", "has a comment (#) behind it"),
        ("SPECKLE_WEBHOOK_SECRET", '"hush, hush"', "has a quotation mark around it"),
        ("WEBHOOK_PORT", "8003 # as in the proxy", "has a comment (#) behind it"),
        ("DATABASE_URL", '"sqlite:///a.db"', "has a quotation mark around it"),
    ],
)
def test_a_value_in_the_environment_that_lost_its_shape_is_named_with_what_to_change(
    name: str, text: str, says: str, host: Host
) -> None:
    host.environ[name] = text
    (problem,) = host.problems(*(["discord_token"] if name == "DISCORD_TOKEN" else []))
    assert (problem.where, problem.what) == ("environment", f"{name} {says}.")
    assert problem.hint
    assert TOKEN not in str(problem)
    assert PLAIN_KEY not in str(problem)
    assert "hush" not in str(problem)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"DISCORD_TOKEN=“{TOKEN}”", "has a quotation mark around it"),
        (f"DISCORD_TOKEN='\"{TOKEN}\"'", "has a quotation mark around it"),
        (f"DISCORD_TOKEN={TOKEN}\u2060", "holds an invisible character (U+2060)"),
    ],
)
def test_a_value_in_an_env_file_that_lost_its_shape_is_named_with_its_line(
    line: str, says: str, host: Host
) -> None:
    host.env.write_text(f"# mine\n{line}\n", encoding="utf-8")
    problem = host.problem()
    assert (problem.where, problem.what) == (".env, line 2", f"DISCORD_TOKEN {says}.")


def test_what_an_env_file_may_have_is_taken_off_and_what_belongs_to_a_value_stays(
    host: Host,
) -> None:
    host.env.write_bytes(
        b"\xef\xbb\xbfexport PUBLIC_URL='https://a.test' # the tunnel\r\n"
        b'SPECKLE_WEBHOOK_SECRET="hush # hush"\r\nWEBHOOK_PORT= # default\r\n'
    )
    host.environ |= {"DISCORD_TOKEN": f"  {TOKEN}\r\n", "ENCRYPTION_KEYS": f"{KEY} , {KEY}"}
    settings = host.load()
    assert settings.public_url == "https://a.test"
    assert settings.speckle_webhook_secret == SecretStr("hush # hush")
    assert settings.discord_token == SecretStr(TOKEN)
    assert settings.encryption_keys == (SecretStr(KEY), SecretStr(KEY))
    assert settings.webhook_port == 8003


@pytest.mark.parametrize("name", ["\ufeffDISCORD_TOKEN", "export DISCORD_TOKEN", " DISCORD_TOKEN"])
def test_a_name_in_the_environment_that_lost_its_shape_is_named(name: str, host: Host) -> None:
    host.environ |= {name: TOKEN, "EXPORT": "1", "MY DISCORD_TOKEN": "2"}
    (problem,) = host.problems("discord_token")
    assert problem.what.endswith("is not DISCORD_TOKEN: there is something around the name.")
    assert problem.hint == "Write DISCORD_TOKEN=... and no more."


def test_curly_quotes_in_config_toml_are_named_as_that(host: Host) -> None:
    host.config.write_text("webhook_port = 1\npublic_url = “https://a.test”\n", encoding="utf-8")
    problem = host.problem()
    assert problem.where == "config.toml, line 2"
    assert "curly quotes" in problem.what


# ── what is shown of them ──


def test_settings_show_no_secret() -> None:
    settings = Settings(discord_token=SecretStr(TOKEN), encryption_keys=(SecretStr(KEY),))
    assert TOKEN not in repr(settings)
    assert KEY not in repr(settings)


def test_the_database_password_is_among_the_secrets() -> None:
    url = "postgresql+psycopg://bot:low-tide@db/bot"
    settings = Settings(database_url=url, discord_token=SecretStr(TOKEN))
    assert settings.secret_values() == (TOKEN, "low-tide")


# ── applications for signing in ───────────────────────────────────────────────────────────────


def test_an_application_is_for_the_first_server_unless_it_names_another(host: Host) -> None:
    host.config.write_text('speckle_servers = ["https://one.example", "https://two.example"]\n')
    host.environ["SPECKLE_APPS"] = (
        "4a8173073e:first-secret,5b9284184f:second-secret@HTTPS://two.example/"
    )
    host.environ["PUBLIC_URL"] = "https://bot.example/speckle/"
    settings = host.load()
    assert dict(settings.apps()) == {
        "https://one.example": SpeckleApp("https://one.example", "4a8173073e", "first-secret"),
        "https://two.example": SpeckleApp("https://two.example", "5b9284184f", "second-secret"),
    }
    assert {"first-secret", "second-secret"} <= set(settings.secret_values())
    assert settings.redirect_url() == "https://bot.example/speckle/link/callback"


@pytest.mark.parametrize(
    ("apps", "what"),
    [
        ("4a8173073e", "holds no application in place 1 of 1"),
        ("a:swordfish,:swordfish", "holds no application in place 2 of 2"),
        ("a:sword fish", "holds no application in place 1 of 1"),
        ("a:swordfish@ftp://one.example", "holds no application in place 1 of 1"),
        ("a:swordfish@https://", "holds no application in place 1 of 1"),
        ("a:swordfish@https://:8080", "names no Speckle server in place 1 of 1"),
        ("a:swordfish@https://three.example", "names a server in place 1 of 1"),
        ("a:swordfish,b:swordfish@https://one.example", "second application for one server"),
    ],
)
def test_a_bad_application_is_named_by_its_place_and_its_secret_never_shown(
    host: Host, apps: str, what: str
) -> None:
    host.config.write_text('speckle_servers = ["https://one.example"]\n')
    host.env.write_text(f"SPECKLE_APPS={apps}\n")
    problem = host.problem()
    assert problem.where == ".env, line 1"
    assert what in problem.what
    assert "swordfish" not in str(problem)
    assert problem.hint


def test_applications_say_nothing_while_the_servers_are_wrong(host: Host) -> None:
    host.environ |= {"SPECKLE_SERVERS": "nonsense", "SPECKLE_APPS": "a:b"}
    assert "SPECKLE_SERVERS" in host.problem().what


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("hooks.example.org/x", "is not an http:// or https:// address"),
        ("https://hooks.example.org/a b", "is not an http:// or https:// address"),
        ("https://[x/y-secret", "is not a web address"),
        ("http://hooks.example.org/y-secret", "over the internet without encryption"),
    ],
)
def test_a_webhook_for_notices_that_cannot_be_one_is_said_without_its_secret(
    url: str, says: str, host: Host
) -> None:
    host.environ["OPERATOR_WEBHOOK_URL"] = url
    problem = host.problem()
    assert says in problem.what
    assert url not in str(problem)


@pytest.mark.parametrize("url", ["https://hooks.example.org/y?key=z", "http://10.0.0.7:8065/x"])
def test_a_webhook_for_notices_may_have_a_query_or_be_in_the_hosts_own_network(
    url: str, host: Host
) -> None:
    host.environ["OPERATOR_WEBHOOK_URL"] = url
    host.config.write_text('[operator]\nchannel = "1180000000000000002"')
    settings = host.load()
    assert settings.operator_webhook_url == SecretStr(url)
    assert settings.operator.channel == 1180000000000000002
    assert url in settings.secret_values()
