import io
import json
import logging
import os
import pty

import pyarrow as pa
import pytest
from rich.console import Console
from support import HandMadeBatch

from flowfast import logs
from flowfast.escape import printable, printable_json, printable_lines
from flowfast.sinks import Account
from flowfast.sinks.stream import StandardOutput

HOSTILE = [
    ("ge-0/0/0\x1b[2J\x1b]0;owned\x07", r"ge-0/0/0\x1b[2J\x1b]0;owned\x07"),  # clear the screen, set the title
    ("uplink\x9b31m", r"uplink\x9b31m"),  # CSI as one C1 control
    ("Gi0/1\r\n12:00:00 error: forged", r"Gi0/1\r\n12:00:00 error: forged"),
    ("admin\u202egnp.exe", r"admin\u202egnp.exe"),  # right-to-left override
    ("a\u2066b\u2069c\u200fd", r"a\u2066b\u2069c\u200fd"),
    ("in\u200bvisible\ufeff\u00ad", r"in\u200bvisible\ufeff\xad"),
    ("line\u2028paragraph\u2029", r"line\u2028paragraph\u2029"),
    ("\x00\x7f\x08", r"\x00\x7f\x08"),
    ("\ud800", r"\ud800"),
    ("\U000e0041", r"\U000e0041"),
]


@pytest.mark.parametrize(("hostile", "shown"), HOSTILE)
def test_what_could_steer_a_terminal_is_shown_as_its_code(hostile, shown):
    # FF-SEC-05, FF-TI-07.
    assert printable(hostile) == shown
    assert printable(hostile).isprintable()


@pytest.mark.parametrize("name", ["Gi0/0/0.100", "Zürich↔Genève", "東京-上海", "שלום", "кабель № 5", "10 % «x»"])
def test_names_in_any_script_stay_as_they_are(name):
    assert printable(name) == printable_lines(name) == name


def test_long_names_are_cut():
    assert printable("x" * 10_000) == "x" * 255 + "…"


@pytest.mark.parametrize(("hostile", "_shown"), HOSTILE)
def test_json_keeps_its_value(hostile, _shown):
    for text in (json.dumps({"name": hostile}, ensure_ascii=False), json.dumps({"name": hostile})):
        safe = printable_json(text)
        assert safe.isprintable()
        assert json.loads(safe) == {"name": hostile}


@pytest.mark.parametrize(("hostile", "shown"), HOSTILE)
@pytest.mark.parametrize("terminal", [True, False])
def test_logs(hostile, shown, terminal):
    text = io.StringIO()
    logs.set_up(Console(file=text, force_terminal=terminal, width=1000), service=True)
    try:
        logs.warning("named", f"interface {hostile} is there", interface=hostile)
    finally:
        logging.getLogger("flowfast").handlers.clear()
    line = text.getvalue().removesuffix("\n")
    if terminal:
        shown = shown.replace(r"\n", "\n")  # lines that flowfast puts together are its own to keep apart
        assert line.endswith(f"warning: interface {shown} is there")
    else:
        assert line.isprintable()
        assert json.loads(line)["interface"] == hostile


class Raw(HandMadeBatch):
    """Its JSON has the characters themselves, as that of the core has."""

    def to_ndjson(self):
        return json.dumps(self.rows.to_pylist()[0], ensure_ascii=False).encode() + b"\n"


@pytest.mark.parametrize(("hostile", "_shown"), [each for each in HOSTILE if each[0] != "\ud800"])
def test_rows_on_a_terminal(hostile, _shown, monkeypatch):
    main, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        StandardOutput(Account("-")).write(Raw(pa.record_batch({"user_name": [hostile]})))
        shown = os.read(main, 65536).decode().replace("\r\n", "")
    os.close(main)
    assert shown.isprintable()
    assert json.loads(shown) == {"user_name": hostile}
