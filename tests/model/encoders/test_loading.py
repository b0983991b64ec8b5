"""Loaders are found by name, and their libraries wait until one is asked for."""

import subprocess
import sys
from importlib import import_module

from model.encoders import loading, spec


def test_there_is_a_loader_for_every_name_that_a_spec_takes() -> None:
    assert loading.LOADERS.keys() == spec.LOADERS.keys()
    assert all(callable(getattr(import_module(module), name)) for module, name in loading.LOADERS.values())


def test_a_training_that_loads_no_encoder_imports_no_transformers() -> None:
    code = "import sys, model.train, model.export; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
