"""`flowfast` whose collectors write no rows of the ledger, for `overhead.py`."""

from typing import Any

from flowfast import _core
from flowfast.cli import main

whole = _core.Collector


def without_ledger(*arguments: Any, **options: Any) -> _core.Collector:
    return whole(*arguments, **options | {"ledger": False})


if __name__ == "__main__":
    _core.Collector = without_ledger  # type: ignore[misc, assignment]
    main()
