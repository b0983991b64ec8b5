from model.config import ModalityConfig, parse_config
from model.methods.registry import REGISTRY


def test_only_the_method_without_content_selects_no_layers() -> None:
    modality = ModalityConfig("text", 4, 5)
    selected = {
        name: method.select_layers and len(method.select_layers(parse_config(name, {}), modality))
        for name, method in REGISTRY.items()
    }
    assert [name for name, layers in selected.items() if layers is None] == ["id"]
    for name in ("crossan", "crossan+id", "iisan", "iisan-versa"):
        assert selected[name] == parse_config(name, {}).tower.side_layers
    assert selected["frozen"] == 1
