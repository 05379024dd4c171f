"""Builds the decoder in Cython, once a session."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = Path(__file__).parent / "cython_decoder.pyx"


@pytest.fixture(scope="session")
def cython_decoder(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The compiled module."""
    pytest.importorskip("Cython", reason="`pip install --group bench` brings Cython")
    place = tmp_path_factory.mktemp("cython")
    shutil.copy(SOURCE, place)
    done = subprocess.run(["cythonize", "--build", "--inplace", SOURCE.name], cwd=place, capture_output=True, text=True, check=False,
                          env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "CFLAGS": "-O3 -march=native"})  # fmt: skip
    built = next(place.glob("cython_decoder*.so"), None)
    if built is None:
        pytest.skip(f"Cython compiles nothing here: {done.stderr[-300:]}")
    spec = importlib.util.spec_from_file_location("cython_decoder", built)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
