import tomllib

import pytest

from flowfast.config import Settings, config_path, dump, load
from flowfast.errors import UsageError


def write(tmp_path, text, name="flowfast.toml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_flag_over_environment_over_file_over_default(tmp_path):
    file = write(tmp_path, '[collect]\nrotate = "5m"\nworkers = 2\nwhen-full = "block"\n')
    environment = {"FLOWFAST_CFG_COLLECT_WORKERS": "3", "FLOWFAST_CFG_COLLECT_RCVBUF": "1M", "PATH": "/bin"}
    settings = load({"rcvbuf": "2M", "workers": None}, file, environment)
    assert (settings.rotate, settings.workers, settings.rcvbuf, settings.when_full) == (300, 3, 2 << 20, "block")
    assert settings.schema_ == "flows"
    assert [str(uri) for uri in settings.listen] == ["udp://[::]:2055", "udp://[::]:4739", "udp://[::]:6343"]


def test_lists_may_be_texts_with_commas(tmp_path):
    file = write(tmp_path, '[collect]\nlisten = "sflow://:6343?count=4,netflow://:2055"\ncolumns = ["minimal", "bytes,packets"]\n')
    settings = load({}, file, {"FLOWFAST_CFG_COLLECT_TO": "parquet:out,null:"})
    assert len(settings.listen) == 2
    assert settings.columns == ("minimal", "bytes", "packets")
    assert [str(target) for target in settings.to] == ["parquet:out", "null:"]


def test_the_dump_is_a_configuration_file_of_the_same_settings(tmp_path):
    settings = load({"to": ["parquet:d\u00fc 'x' \"y\""], "listen": ["flow://:9995?count=2"], "lenient": True}, None, {})
    text = dump(settings)
    assert set(tomllib.loads(text)["collect"]) == {
        "listen", "to", "rotate", "workers", "schema", "columns", "rcvbuf", "when-full", "strict-lengths", "lenient", "biflow",
        "mediators", "journal", "journal-size", "allow", "deny", "http",
    }  # fmt: skip
    assert load({}, write(tmp_path, text), {}) == settings
    assert load({}, write(tmp_path, dump(Settings())), {}) == Settings()


def test_where_the_file_is(tmp_path, monkeypatch):
    monkeypatch.delenv("FLOWFAST_CONFIG", raising=False)
    monkeypatch.setattr("flowfast.config.CONFIG_DEFAULT", tmp_path / "flowfast.toml")
    assert config_path(None) is None
    default = write(tmp_path, "")
    assert config_path(None) == default
    monkeypatch.setenv("FLOWFAST_CONFIG", "/elsewhere.toml")
    assert str(config_path(None)) == "/elsewhere.toml"
    assert config_path(tmp_path) == tmp_path


@pytest.mark.parametrize(
    ("text", "sentence", "hint"),
    [
        ("[collect]\nrotat = 60", "unknown setting `rotat`", "did you mean `rotate`?"),
        ("[collect]\nwhen_full = 'drop'", "unknown setting `when_full`", "did you mean `when-full`?"),
        ("[colect]\nrotate = 60", "unknown section `colect`", "`[collect]`"),
        ("rotate = 60", "unknown section `rotate`", "`[collect]`"),
        ("[collect]\nrotate = \nworkers = 1", "line 2, column 10", "example"),
        ("[collect]\nrotate = '7m'", "`rotate` in ", "such as 400s"),
        ("[collect]\nrotate = 'soon'", "`soon` is no duration such as 300, 90s, 5m or 1h", "--help"),
        ("[collect]\nrcvbuf = '1X'", "`1X` is no size", "--help"),
        ("[collect]\nworkers = 0", "`workers` in ", "--help"),
        ("[collect]\nworkers = 'many'", "`workers` in ", "--help"),
        ("[collect]\nschema = 'flow'", "`flow` is not one of flows, wire", "did you mean `flows`?"),
        ("[collect]\nwhen-full = 'wait'", "`wait` is not one of drop, block", "`block`"),
        ("[collect]\nlisten = ['udp://[::]']", "names no port", "udp://[::]:2055"),
        ("[collect]\nlisten = ['udp://192.0.2.1:']", "names no port", "`udp://192.0.2.1:2055`"),
        ("[collect]\nlisten = []", "nothing to listen on", "leave `listen` out"),
        ("[collect]\nlisten = 2055", "not a list of texts", "--help"),
        ("[collect]\nto = ['parqet:x']", "`parqet:x` is no target", "did you mean `parquet`?"),
        ("[collect]\nto = ['null:', 'null:']", "given twice", "once"),
        ("[collect]\nlenient = 'maybe'", "`lenient` in ", "--help"),
    ],
)
def test_mistakes_in_the_file_are_one_sentence_with_a_hint(tmp_path, text, sentence, hint):
    file = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load({}, file, {})
    assert sentence in str(caught.value)
    assert hint in caught.value.hint
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)


def test_mistakes_elsewhere_say_where():
    with pytest.raises(UsageError, match=r"^\$FLOWFAST_CFG_COLLECT_ROTATE: `x` is no duration"):
        load({}, None, {"FLOWFAST_CFG_COLLECT_ROTATE": "x"})
    with pytest.raises(UsageError, match="the environment has an unknown setting `rotat`"):
        load({}, None, {"FLOWFAST_CFG_COLLECT_ROTAT": "60"})
    with pytest.raises(UsageError, match=r"\$FLOWFAST_CFG_X_ROTATE sets an unknown section"):
        load({}, None, {"FLOWFAST_CFG_X_ROTATE": "60"})
    with pytest.raises(UsageError, match=r"^--rotate: an hour is not a whole number of intervals of 7 s"):
        load({"rotate": "7"}, None, {})


def test_unreadable_files(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read .*: no such file or directory"):
        load({}, tmp_path / "none.toml", {})
    (tmp_path / "latin1.toml").write_bytes(b'[collect]\nto = "\xfc"\n')
    with pytest.raises(UsageError, match="octet 16 is not UTF-8"):
        load({}, tmp_path / "latin1.toml", {})
    with pytest.raises(UsageError, match="is a directory"):
        load({}, tmp_path, {})
