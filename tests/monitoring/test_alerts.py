"""Each alert fires in its trouble, alone, and is over afterwards: tried with promtool.

The dashboard asks for metrics that there are, in PromQL that promtool reads.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from bot.monitoring.docs_page import every_metric
from tests.monitoring.test_monitoring_page import ROOT, RULES

DASHBOARD: Final[dict[str, Any]] = json.loads((ROOT / "deploy/grafana.json").read_text("utf-8"))
BOT: Final = 'job="speckle-bot", instance="bot:8005"'
WELL_M, TROUBLE_M, AFTER_M = 10, 75, 75  # minutes: how long all is well, then not, then again
ALL_M: Final = WELL_M + TROUBLE_M + AFTER_M

Values = Mapping[str, str]
"""Series by their name and labels, in promtool's notation, a value a minute."""


def step(well: float, trouble: float) -> str:
    return f"{well}x{WELL_M - 1} {trouble}x{TROUBLE_M - 1} {well}x{AFTER_M}"


def trouble(kind: str) -> Values:
    return {f'speckle_bot_trouble{{{BOT}, kind="{kind}"}}': step(0, 1)}


def slow(name: str, quick: str, late: str) -> Values:
    """A histogram where ten a minute take `quick` at most, in trouble more than that."""
    up = f"0+10x{WELL_M - 1}"
    high, end = 10 * WELL_M, 10 * (WELL_M + TROUBLE_M)
    stands = f"{up} {high}x{TROUBLE_M - 1} {high}+10x{AFTER_M}"
    rises = f"{up} {high}+10x{TROUBLE_M - 1} {end}+10x{AFTER_M}"
    counts = {quick: stands, late: rises, "+Inf": rises}
    return {
        f'speckle_bot_{name}_seconds_bucket{{{BOT}, le="{le}"}}': values
        for le, values in counts.items()
    }


def plain(name: str, well: float, trouble: float, labels: str = "") -> Values:
    return {f"{name}{{{BOT}{labels}}}": step(well, trouble)}


SCENARIOS: Final[Mapping[str, Values]] = {
    "SpeckleBotDown": plain("up", 1, 0),
    "SpeckleBotNobodyLeads": plain("speckle_bot_leader", 1, 0),
    "SpeckleBotDatabaseTrouble": plain("speckle_bot_database_readable", 1, 0),
    "SpeckleBotEventsNotStored": {
        f'speckle_bot_deliveries_total{{{BOT}, result="not_stored"}}': (
            f"0x{WELL_M - 1} 0+1x{TROUBLE_M - 1} {TROUBLE_M}x{AFTER_M}"
        )
    },
    "SpeckleBotWritesSlow": slow("database_write", "0.5", "2.5"),
    "SpeckleBotKeysMissing": trouble("keys_missing"),
    "SpeckleBotDiskLow": trouble("disk_low"),
    "SpeckleBotBackupTooOld": trouble("backup_too_old"),
    "SpeckleBotTokenRefused": trouble("token_refused"),
    "SpeckleBotSendingStopped": trouble("address_blocked"),
    "SpeckleBotGatewayAway": trouble("gateway_away"),
    "SpeckleBotCardsUndeliverable": {
        f"speckle_bot_undeliverable_cards{{{BOT}}}": (
            f"3x{WELL_M - 1} 3+1x{TROUBLE_M - 1} {TROUBLE_M + 2}x{AFTER_M}"
        )
    },
    "SpeckleBotEventsWait": plain("speckle_bot_inbox_oldest_age_seconds", 2, 400),
    "SpeckleBotCardsWait": plain("speckle_bot_outbox_oldest_age_seconds", 2, 1000),
    "SpeckleBotCardsLate": slow("card_delay", "60.0", "300.0"),
    "SpeckleBotSpeckleNotAnswering": plain(
        "speckle_bot_speckle_breaker_open", 0, 1, ', server="https://speckle.example.org"'
    ),
    "SpeckleBotLiveUnread": plain("speckle_bot_live_unread_seconds", 20, 1500),
    "SpeckleBotEventsMayBeMissing": trouble("catch_up_too_short"),
    "SpeckleBotQuotaNearlyUsed": plain(
        "speckle_bot_quota_used_ratio", 0.1, 0.95, ', quota="bytes"'
    ),
}


def test_each_alert_has_its_scenario() -> None:
    assert SCENARIOS.keys() == {rule["alert"] for rule in RULES}


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not on this machine: it comes with Prometheus.")
    return found


def run(*command: str, stdin: bytes = b"") -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=60)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said


def firing(at_m: int, *alerts: str) -> dict[str, Any]:
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in alerts]
    asked = 'count by (alertname) (ALERTS{alertstate="firing"})'
    return {"expr": asked, "eval_time": f"{at_m}m", "exp_samples": samples}


def in_trouble(alert: str, values: Values) -> dict[str, Any]:
    """A test of promtool's: nothing fires, then this alert alone, then nothing again."""
    series = {f"speckle_bot_leader{{{BOT}}}": f"1x{ALL_M}", **values}
    return {
        "name": alert,
        "interval": "1m",
        "input_series": [{"series": one, "values": row} for one, row in series.items()],
        "promql_expr_test": [
            firing(WELL_M - 1),
            firing(WELL_M + TROUBLE_M - 1, alert),
            firing(ALL_M),
        ],
    }


def test_each_alert_fires_alone_in_its_trouble_and_is_over_afterwards(
    promtool: str, tmp_path: Path
) -> None:
    tests = {
        "rule_files": [str(ROOT / "deploy/alerts.yml")],
        "evaluation_interval": "1m",
        "tests": [in_trouble(*one) for one in SCENARIOS.items()],
    }
    file = tmp_path / "alerts_test.yml"
    file.write_text(yaml.safe_dump(tests), "utf-8")
    run(promtool, "test", "rules", str(file))


def test_a_process_that_stands_by_is_in_no_trouble_with_discord(
    promtool: str, tmp_path: Path
) -> None:
    other = BOT.replace("bot:", "second:")
    series = {
        f"speckle_bot_leader{{{BOT}}}": "1x60",
        f"speckle_bot_leader{{{other}}}": "0x60",
        f'speckle_bot_trouble{{{other}, kind="gateway_away"}}': "1x60",
        f'speckle_bot_trouble{{{other}, kind="sending_stopped"}}': "1x60",
    }
    rows = [{"series": one, "values": row} for one, row in series.items()]
    quiet = {"interval": "1m", "input_series": rows, "promql_expr_test": [firing(60)]}
    file = tmp_path / "standby_test.yml"
    tests = {"rule_files": [str(ROOT / "deploy/alerts.yml")], "tests": [quiet]}
    file.write_text(yaml.safe_dump(tests), "utf-8")
    run(promtool, "test", "rules", str(file))


def test_prometheus_takes_the_configuration_and_the_names(promtool: str) -> None:
    said = run(promtool, "check", "config", str(ROOT / "deploy/prometheus.yml"))
    assert f"{len(RULES)} rules found" in said

    class Page(Collector):
        def collect(self) -> Any:
            return [m for m in every_metric() if m.name.startswith("speckle_bot")]

    assert run(promtool, "check", "metrics", stdin=generate_latest(Page())) == ""


# ── what rules and dashboard ask for ──────────────────────────────────────────────────────────


def panels(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for panel in found:
        yield panel
        yield from panels(panel.get("panels", []))


def dashboard_queries() -> Mapping[str, str]:
    """The expressions of the dashboard, by panel and letter."""
    return {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in panels(DASHBOARD["panels"])
        for target in panel.get("targets", [])
    }


def asked_for(expression: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each metric that an expression names, with what it wants of its labels."""
    pattern = r"\b((?:speckle_bot|process|python)_\w+|up)\b(?:\{([^}]*)\})?"
    for name, matchers in re.findall(pattern, expression):
        yield name, dict(re.findall(r'(\w+)=~?"([^"]*)"', matchers))


def test_rules_and_dashboard_ask_for_what_there_is() -> None:
    there: dict[str, list[Mapping[str, str]]] = {"up": [{}]}
    for metric in every_metric():
        for sample in metric.samples:
            there.setdefault(sample.name, []).append(sample.labels)
    rules = {rule["alert"]: rule["expr"] for rule in RULES}
    for where, expression in {**rules, **dashboard_queries()}.items():
        named = list(asked_for(expression))
        assert named, where
        for name, wanted in named:
            assert name in there, where
            wanted.pop("job", None)
            for label, pattern in wanted.items():
                for value in pattern.split("|"):
                    assert any(one.get(label) == value for one in there[name]), (where, value)


def test_promtool_reads_each_expression_of_the_dashboard(promtool: str, tmp_path: Path) -> None:
    rules = [
        {"record": f"dashboard:{number}", "expr": as_grafana_asks(expression)}
        for number, expression in enumerate(dashboard_queries().values())
    ]
    file = tmp_path / "dashboard.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), "utf-8")
    run(promtool, "check", "rules", str(file))


def as_grafana_asks(expression: str) -> str:
    return expression.replace("$job", "speckle-bot").replace("$__rate_interval", "1m")


def test_the_dashboard_can_be_imported_into_any_grafana() -> None:
    variables = {one["name"]: one["type"] for one in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource": "datasource", "job": "query"}
    assert DASHBOARD["id"] is None
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows[:2] == ["What is wrong now", "The way of an event"]
    ids = [panel["id"] for panel in panels(DASHBOARD["panels"])]
    assert len(set(ids)) == len(ids)
    for panel in panels(DASHBOARD["panels"]):
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert panel["description"]
