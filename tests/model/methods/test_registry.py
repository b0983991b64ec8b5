from model.config import ModalityConfig, parse_config
from model.methods.registry import REGISTRY


def test_only_the_method_without_content_selects_no_layers() -> None:
    modality = ModalityConfig("text", 4, 5)
    selected = {
        name: method.select_layers and len(method.select_layers(parse_config(name, {}), modality))
        for name, method in REGISTRY.items()
    }
    assert selected["id"] is None
    assert selected["crossan"] == parse_config("crossan", {}).tower.side_layers
