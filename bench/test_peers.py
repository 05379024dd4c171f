"""The decoders that `bench/peers.py` compares find the same flows: `measured` ends the program otherwise. Nobody asks here how fast."""

from pathlib import Path

import peers
import pytest

FIGURES = {"records", "cpu_seconds", "records_per_cpu_second", "ns_per_record"}


@pytest.mark.parametrize(("template", "decoder"), peers.PAIRS, ids=lambda part: part if isinstance(part, str) else part.name)
def test_every_decoder_finds_what_was_generated(decoder: peers.Decoder, template: str, tmp_path: Path) -> None:
    if why := decoder.fault():
        pytest.skip(why)
    figures = peers.measured(decoder, template, tmp_path, seconds=0.01)
    assert set(figures) >= FIGURES
    assert figures["records"] % peers.FLOWS == 0
    report = peers.report(decoder, template, [figures], figures["ns_per_record"])
    assert {"template", "order", "kernel", "floor_ns_per_record", "baseline_ns_per_record", "lost", *FIGURES} <= set(report)


def test_a_decoder_that_misses_flows_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    capture, sent = peers.generated("v5", tmp_path)
    monkeypatch.setattr(peers, "generated", lambda *_: (capture, sent | {"octets": sent["octets"] + 1}))
    with pytest.raises(SystemExit, match="flowfast finds"):
        peers.measured(peers.FLOWFAST, "v5", tmp_path, seconds=0.01)
