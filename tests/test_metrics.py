"""What is counted, and that nothing from outside makes a label of its own."""

from bot.metrics import DeliveryResult, Metrics, SendResult, SpeckleResult

SERVER = "https://speckle.example.org"


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"speckle_bot_{name}", labels)


def series(metrics: Metrics) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    return {
        (sample.name, tuple(sorted(sample.labels.items())))
        for metric in metrics.registry.collect()
        for sample in metric.samples
    }


def test_every_result_is_there_before_it_happened_so_that_its_first_increase_is_seen() -> None:
    metrics = Metrics([SERVER])
    for result in DeliveryResult:
        assert value(metrics, "deliveries_total", result=result.value) == 0
    for sent in SendResult:
        assert value(metrics, "sends_total", result=sent.value) == 0
    for answer in SpeckleResult:
        labels = {"server": SERVER, "result": answer.value}
        assert value(metrics, "speckle_requests_total", **labels) == 0


def test_what_is_counted_makes_no_new_series_whatever_server_it_names() -> None:
    metrics = Metrics([SERVER])
    before = series(metrics)
    for result in DeliveryResult:
        metrics.count_delivery(result)
    for sent in SendResult:
        metrics.count_send(sent)
    for server in (SERVER, "https://evil.example", 'a"b\n{}', ""):
        metrics.count_speckle_request(server, SpeckleResult.FAILED)
    metrics.observe_card_delays([0.02, 1e12, -5.0])
    metrics.observe_write(0.004)
    assert series(metrics) == before
    assert value(metrics, "speckle_requests_total", server=SERVER, result="failed") == 1


def test_a_delay_that_a_clock_made_negative_is_none() -> None:
    metrics = Metrics()
    metrics.observe_card_delays([-3600.0, 3.0])
    assert value(metrics, "card_delay_seconds_sum") == 3.0
    assert value(metrics, "card_delay_seconds_count") == 2


def test_two_bots_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.count_delivery(DeliveryResult.TAKEN)
    assert value(other, "deliveries_total", result="taken") == 0
