"""What /test says of Speckle."""

from dataclasses import replace

import pytest

from bot.cogs.diagnosis.sample_texts import report_embed
from bot.services.samples import SampleFate, SampleReport, SampleResult
from bot.services.subscribe_results import Followed
from bot.speckle.events import EventKind
from bot.trace import MissingWhy, ReadWith, TraceLine, TraceStep
from tests.cogs.test_texts import HOOK, NOW, SUBSCRIPTION


def said(reader: ReadWith, missing: MissingWhy, visibility: str | None) -> str | None:
    """The field about Speckle."""
    trace = (
        TraceLine(NOW, "access", TraceStep.ACCESS_GRANTED, {"reader": reader}),
        TraceLine(NOW, "enrich", TraceStep.FACTS_MISSING, {"missing": missing}),
    )
    result = SampleResult(EventKind.VERSION_CREATED, SampleFate.SHOWN, trace)
    entry = Followed(replace(HOOK, visibility=visibility), SUBSCRIPTION)
    (field,) = report_embed(SampleReport(entry, (result,))).fields
    return field.value


@pytest.mark.parametrize("visibility", [None, "private"])
def test_a_stranger_cannot_learn_whether_there_is_a_project_of_an_id(
    visibility: str | None,
) -> None:
    hidden, missing = (
        said(ReadWith.NO_TOKEN, why, visibility)
        for why in (MissingWhy.FORBIDDEN, MissingWhy.NOT_FOUND)
    )
    assert hidden == missing
    assert hidden is not None
    assert "no linked account reads for this channel" in hidden


@pytest.mark.parametrize(
    ("reader", "visibility"), [(ReadWith.ACCOUNT, "private"), (ReadWith.NO_TOKEN, "public")]
)
def test_where_speckle_answers_that_it_has_no_such_sample_all_is_well(
    reader: ReadWith, visibility: str
) -> None:
    assert "It knows nothing of samples" in (said(reader, MissingWhy.NOT_FOUND, visibility) or "")
