"""docs/monitoring.md and docs/alerts.md say what the metrics and the rules say."""

import re
from pathlib import Path
from typing import Any, Final

import yaml

from bot.metrics import PREFIX
from bot.monitoring.docs_page import every_metric, with_metrics_table
from bot.problems import TroubleKind

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs/monitoring.md").read_text("utf-8")
ALERTS_PAGE: Final = (ROOT / "docs/alerts.md").read_text("utf-8")
RULES: Final[list[dict[str, Any]]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/alerts.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
# These come with the server's name, which the kind has not.
BY_SERVER: Final = {TroubleKind.SPECKLE_NOT_ANSWERING}


def anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9-]", "", title.lower().replace(" ", "-"))


def test_the_table_of_metrics_is_todays() -> None:
    assert with_metrics_table(PAGE) == PAGE, "make pages"


def test_each_result_is_explained() -> None:
    explained = PAGE.split("### What the results mean")[1]
    results = {
        sample.labels["result"]
        for metric in every_metric()
        for sample in metric.samples
        if "result" in sample.labels
    }
    assert {result for result in results if f"`{result}`" not in explained} == set()


def test_each_alert_leads_to_its_section_and_each_section_names_its_alert() -> None:
    parts = re.split(r"^### (.+)$", ALERTS_PAGE, flags=re.MULTILINE)[1:]
    sections = dict(zip(map(anchor, parts[::2]), parts[1::2], strict=True))
    led_to = {}
    for rule in RULES:
        page, _, section = rule["annotations"]["runbook_url"].partition("#")
        assert page == "docs/alerts.md"
        assert f"`{rule['alert']}`, {rule['labels']['severity']}" in sections[section]
        assert f"[`{rule['alert']}`](alerts.md#{section})" in PAGE
        for part in ("**For people:**", "**Why:**", "**What to do:**"):
            assert part in sections[section], section
        led_to[section] = rule["alert"]
    assert led_to.keys() == sections.keys()


def test_each_kind_of_trouble_has_an_alert() -> None:
    expressions = " ".join(rule["expr"] for rule in RULES)
    named = {kind for kind in TroubleKind if re.search(rf'["|]{kind}["|]', expressions)}
    assert named == set(TroubleKind) - BY_SERVER
    assert "speckle_breaker_open" in expressions


def test_no_metric_names_a_person_a_channel_or_a_project() -> None:
    labels = {
        label
        for metric in every_metric()
        if metric.name.startswith(PREFIX)
        for sample in metric.samples
        for label in sample.labels
    }
    about_the_bot = {"database", "kind", "le", "quota", "reason", "result", "server", "state"}
    assert labels == about_the_bot | {"version"}
