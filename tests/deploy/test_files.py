"""What is in deploy/ fits the code, and the programs that read it accept it."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import click
import pytest
import yaml

from bot.__main__ import cli
from bot.http_server import Limits
from bot.http_server.server import SHUTDOWN_S
from bot.launch import COMMANDS
from bot.settings import Settings, environment_names

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = ("compose.yaml", "compose.sqlite.yaml")
DOCKERFILE = (DEPLOY / "Dockerfile").read_text("utf-8")
UNIT = (DEPLOY / "speckle-discord-bot.service").read_text("utf-8")
CADDY = (DEPLOY / "Caddyfile").read_text("utf-8")
NGINX = (DEPLOY / "nginx.conf").read_text("utf-8")
PORT = Settings().webhook_port
MOST_EXPOSURE = 2.0
# Of Compose and the other containers.
NOT_OURS = {"DOMAIN", "POSTGRES_PASSWORD", "COMPOSE_FILE", "BACKUPS"}
ENV_EXAMPLE = (DEPLOY / "compose.env.example").read_text("utf-8")
BACKUP_UNIT = (DEPLOY / "speckle-discord-bot-backup.service").read_text("utf-8")
UNITS = {"speckle-discord-bot.service": UNIT, "speckle-discord-bot-backup.service": BACKUP_UNIT}
PAGES = ("README.md", "docs/hosting.md", "docs/alerts.md", "docs/monitoring.md", "docs/security.md")


def tool(name: str) -> str:
    """Where a program is; a test that needs one is skipped where it is missing."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(
    command: Sequence[str | Path], environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=30, env={**os.environ, **(environ or {})}
    )


def compose(name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load((DEPLOY / name).read_text("utf-8"))
    return found


# ── the code ──────────────────────────────────────────────────────────────────────────────────


def test_everything_leads_to_the_port_that_the_bot_listens_on() -> None:
    assert f"EXPOSE {PORT}\n" in DOCKERFILE
    assert f"'WEBHOOK_PORT') or {PORT}" in DOCKERFILE
    assert f"{{$BOT:127.0.0.1:{PORT}}}" in CADDY
    assert f"server 127.0.0.1:{PORT};" in NGINX
    assert compose("compose.yaml")["services"]["caddy"]["environment"]["BOT"] == f"bot:{PORT}"
    sqlite = compose("compose.sqlite.yaml")["services"]["bot"]
    assert sqlite["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]


@pytest.mark.parametrize("status", [HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE])
def test_the_health_check_asks_the_bot_itself_and_believes_200(status: HTTPStatus) -> None:
    """It asks what the bot answers from its start on, and through no proxy."""
    asked: list[str] = []

    class Bot(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

    command = re.findall(r"HEALTHCHECK .*?CMD (\[.*?\])$", DOCKERFILE, re.DOTALL | re.MULTILINE)[0]
    with HTTPServer(("127.0.0.1", 0), Bot) as server:
        environ = {"WEBHOOK_PORT": str(server.server_port), "HTTP_PROXY": "http://127.0.0.1:9"}
        thread = Thread(target=server.handle_request)
        thread.start()
        done = run([sys.executable, *json.loads(command)[1:]], environ)
        thread.join()
    assert (done.returncode == 0) == (status is HTTPStatus.OK)
    assert asked == ["/healthz"]
    for name in ("startup.py", "webhook_listener.py"):
        assert f'add_get("{asked[0]}"' in (ROOT / "bot" / name).read_text("utf-8")


def test_the_proxies_take_bodies_as_large_as_the_bot_does() -> None:
    size = Settings().webhook.max_body_mib
    assert re.findall(r"client_max_body_size (\w+);", NGINX) == [f"{size}m"]
    assert re.findall(r"max_size (\w+)", CADDY) == [f"{size}MiB"]


def test_the_proxies_close_idle_connections_before_the_bot_does() -> None:
    idle = [int(s) for s in re.findall(r"keepalive(?:_timeout)? (\d+)s", NGINX + CADDY)]
    assert len(idle) == 2
    assert max(idle) < Limits().idle_s


def test_every_setting_that_is_named_exists() -> None:
    environment = re.search(r"ENV PATH=.*?USER", DOCKERFILE, re.DOTALL)
    assert environment
    named = set(re.findall(r"(\w+)=", environment[0])) - {"PATH", "PYTHONDONTWRITEBYTECODE"}
    named |= set(re.findall(r"^#?([A-Z_]+)=", ENV_EXAMPLE, re.MULTILINE)) - NOT_OURS
    named |= {
        name for one in COMPOSE for name in compose(one)["services"]["bot"].get("environment", ())
    }
    assert {"WEBHOOK_HOST", "DISCORD_TOKEN", "DATABASE_URL"} <= named
    assert named <= environment_names().keys()


def test_the_image_installs_what_is_pinned_and_holds_no_more_than_it_copies() -> None:
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for name in line.split()[:-1]
    }
    kept = (ROOT / ".dockerignore").read_text("utf-8")
    assert copied == set(re.findall(r"^!(\S+)$", kept, re.MULTILINE))
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.parametrize("name", COMPOSE)
def test_no_container_may_more_than_it_must(name: str) -> None:
    services = compose(name)["services"]
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert services["bot"]["env_file"] == ".env"
    assert "data:/bot/data" in services["bot"]["volumes"]


@pytest.mark.parametrize("name", COMPOSE)
def test_backups_have_a_place_that_the_bots_user_may_write_to(name: str) -> None:
    whole = compose(name)
    assert "${BACKUPS:-backups}:/bot/backups" in whole["services"]["bot"]["volumes"]
    assert "backups" in whole["volumes"]
    assert re.search(r"install --directory --owner bot .* /bot/backups", DOCKERFILE)


def test_every_command_of_compose_reads_the_file_that_was_chosen() -> None:
    """Without COMPOSE_FILE those after the first would read compose.yaml, whatever was started."""
    chosen = re.findall(r"^COMPOSE_FILE=(.+)$", ENV_EXAMPLE, re.MULTILINE)
    assert chosen == ["compose.sqlite.yaml"]
    assert set(COMPOSE) <= set(re.findall(r"compose[.\w]*\.yaml", ENV_EXAMPLE))
    assert not [page for page in PAGES if "compose --file" in (ROOT / page).read_text("utf-8")]


def test_every_command_that_the_pages_name_exists() -> None:
    typed = re.compile(
        r"(?:run\.py|speckle-bot speckle-discord-bot|exec (?:-T )?bot speckle-discord-bot"
        r"|run --rm (?:--no-deps )?bot) ([a-z][a-z-]*)(?: ([a-z]+))?"
    )
    pages = [(ROOT / page).read_text("utf-8") for page in PAGES]
    named = {found for page in pages for found in typed.findall(re.sub(r"\s+", " ", page))}
    assert {"check", "restore", "key"} <= {command for command, _ in named}
    for command, behind in named:
        assert command in COMMANDS
        there = cli.commands.get(command)
        if isinstance(there, click.Group):
            assert behind in there.commands


def test_the_backup_is_as_hardened_as_the_bot_and_writes_to_one_folder_more() -> None:
    def hardened(unit: str) -> str:
        return unit[unit.index("NoNewPrivileges=") :].partition("\n[Install]")[0].strip()

    assert hardened(BACKUP_UNIT) == hardened(UNIT)
    (folder,) = re.findall(r"^ReadWritePaths=(.+)$", BACKUP_UNIT, re.MULTILINE)
    (command,) = re.findall(r"^ExecStart=(.+)$", BACKUP_UNIT, re.MULTILINE)
    assert f'backup --replace "{folder}/bot-$$(date +%%u).db"' in command
    for name in ("User", "WorkingDirectory", "StateDirectory"):
        same = [re.findall(rf"^{name}=(.+)$", unit, re.MULTILINE) for unit in UNITS.values()]
        assert same[0] == same[1]
    page = (ROOT / "docs/hosting.md").read_text("utf-8")
    assert f"sudo install -d -o speckle-bot -g speckle-bot -m 0700 {folder}\n" in page


def test_a_stop_is_given_more_time_than_the_bot_takes() -> None:
    given = [re.findall(r"TimeoutStopSec=(\d+)s", UNIT)[0]]
    given += [compose(name)["services"]["bot"]["stop_grace_period"].rstrip("s") for name in COMPOSE]
    assert min(map(int, given)) >= 5 * SHUTDOWN_S


def test_what_the_page_about_hosting_names_exists() -> None:
    page = (ROOT / "docs/hosting.md").read_text("utf-8")
    files = set(re.findall(r"\bdeploy/[\w./-]*\w", page))
    assert files >= {"deploy/Caddyfile", "deploy/nginx.conf", "deploy/speckle-discord-bot.service"}
    assert all((ROOT / name).exists() for name in files if name != "deploy/.env")
    shown = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)[`=]", page))
    assert "PUBLIC_URL" in shown
    assert shown <= environment_names().keys() | NOT_OURS


def test_the_service_keeps_its_data_where_the_page_says() -> None:
    page = (ROOT / "docs/hosting.md").read_text("utf-8")
    data, settings, user = (
        re.findall(rf"^{name}=(.+)$", UNIT, re.MULTILINE)[0]
        for name in ("StateDirectory", "WorkingDirectory", "User")
    )
    assert f"DATABASE_URL=sqlite:////var/lib/{data}/bot.db" in page
    assert f"cd {settings}\n    sudo -u {user} speckle-discord-bot init" in page


# ── the programs that read it ─────────────────────────────────────────────────────────────────


def test_hadolint_finds_nothing() -> None:
    done = run([tool("hadolint"), DEPLOY / "Dockerfile"])
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", UNITS)
def test_a_service_is_hardened_and_its_unit_is_one(tmp_path: Path, name: str) -> None:
    analyze = tool("systemd-analyze")
    there = tmp_path / name
    there.write_text(UNITS[name].replace("/usr/local/bin/speckle-discord-bot", "/bin/true"))
    timer = tmp_path / "speckle-discord-bot-backup.timer"
    timer.write_text((DEPLOY / timer.name).read_text("utf-8"))
    units = [there, timer] if "backup" in name else [there]
    verified = run([analyze, "verify", "--man=no", *units])
    assert "speckle-discord-bot" not in verified.stderr
    done = run([analyze, "security", "--offline=true", "--json=short", "--no-pager", there])
    if done.returncode:
        pytest.skip("this systemd-analyze cannot look at files")
    weights = json.loads(done.stdout)
    assert len(weights) > 50
    shown = run([analyze, "security", "--offline=true", "--no-pager", there]).stdout
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", shown)
    assert exposure is not None
    assert float(exposure[1]) <= MOST_EXPOSURE


def test_caddy_reads_its_file(tmp_path: Path) -> None:
    environ = {"DOMAIN": ":18443", "HOME": str(tmp_path)}
    file = str(DEPLOY / "Caddyfile")
    done = run([tool("caddy"), "validate", "--adapter", "caddyfile", "--config", file], environ)
    assert done.returncode == 0, done.stderr


def test_nginx_reads_its_file(tmp_path: Path) -> None:
    nginx = tool("nginx")
    site = re.sub(r"listen [^;]*443 ssl;", "listen 127.0.0.1:18443;", NGINX, count=1)
    site = re.sub(r"\n *(listen \[::\]|ssl_certificate)[^\n]*", "", site)
    (tmp_path / "site.conf").write_text(site)
    folders = "".join(
        f"{name}_temp_path {tmp_path}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = tmp_path / "nginx.conf"
    whole.write_text(
        f"pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}}\n"
        f"http {{ access_log off; {folders} include {tmp_path}/site.conf; }}\n"
    )
    done = run([nginx, "-t", "-c", whole])
    assert done.returncode == 0, done.stderr
