"""How much is measured: all of it, or a first look."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    rounds: int
    decode_flows: int
    convert_flows: int
    collect_rates: tuple[int, ...]
    collect_s: float
    search_s: float
    search_rates: tuple[int, ...]
    compare_flows: int
    compare_rate: int


FULL = Sizes(
    rounds=3,
    decode_flows=4_000_000,
    convert_flows=1_000_000,
    collect_rates=(500_000, 1_000_000),
    collect_s=3.0,
    search_s=4.0,
    search_rates=tuple(int(rate * 1e6) for rate in (0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 10, 12)),
    compare_flows=1_000_000,
    compare_rate=400_000,
)
QUICK = replace(
    FULL,
    rounds=1,
    decode_flows=1_000_000,
    collect_s=2.0,
    search_s=3.0,
    search_rates=(500_000, 1_000_000, 2_000_000, 4_000_000),
    compare_flows=500_000,
)
