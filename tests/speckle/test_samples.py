"""Events that never happened: each kind has one, in the wire's own form."""

import pytest

from bot.speckle.event_table import BY_KIND
from bot.speckle.events import EventKind, ModelRef
from bot.speckle.payloads import parse_delivery, read_envelope
from bot.speckle.samples import SAMPLES, SampleScene, real_model, sample_body, sample_model


def test_each_kind_has_a_sample_that_is_read_as_that_kind() -> None:
    assert set(SAMPLES) == set(EventKind) - {EventKind.UNKNOWN}
    scene = SampleScene("https://speckle.example", "a1b2c3d4e5", "Tower", ModelRef("m1", "walls"))
    for kind in SAMPLES:
        delivery = parse_delivery(read_envelope(sample_body(kind, scene)))
        assert delivery.event.kind is kind
        assert delivery.event_name in BY_KIND[kind].wire_names
        assert delivery.project.name == "Tower"
        assert delivery.server_url == scene.server_url


@pytest.mark.parametrize(
    ("patterns", "known", "model"),
    [
        ((), {"m1": "beams"}, "test model"),
        (("structure/**",), {"m1": "structure/level 1"}, "structure/test"),
        (("structure/**", "!**/test"), {}, "structure/sample"),
        (("[a-c]?-*",), {"m1": "b1-core"}, "b1-core"),
        (("!beams",), {"m1": "beams"}, "test model"),
        (("walls", "beams"), {}, "walls"),
        (("m1",), {"m1": "beams"}, "beams"),
    ],
)
def test_a_sample_is_of_a_made_up_model_that_the_channel_would_follow(
    patterns: tuple[str, ...], known: dict[str, str], model: str
) -> None:
    found = sample_model(patterns, known)
    assert found.name == model


def test_what_names_models_by_id_alone_is_of_one_that_is_there_and_followed() -> None:
    known = {"m1": "beams", "m2": "walls"}
    assert real_model((), known) == "m1"
    assert real_model(("wa*",), known) == "m2"
    assert real_model(("!beams", "!walls"), known) is None
