"""Nothing that a header says is used before it is known to be of its type and within bounds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from advgan.classifier.stored import load_trained, save_classifier
from advgan.classifier.training import start as start_classifier
from advgan.config import Baseline, ClassifierTraining, GanNetworks, GanTraining, NetworkConfig
from advgan.data import ImageSet
from advgan.gan.baselines import fit_mixture, start_vae
from advgan.gan.training import start
from advgan.sampling.stored import load_gan, save_baseline, save_gan
from advgan.storage.checkpoints import load_checkpoint, save_checkpoint

DATA = {"name": "toy", "digest": "d1", "classes": ["a", "b"], "size": 8, "channels": 1}
IMAGES = ImageSet(
    torch.arange(60 * 64).reshape(60, 1, 8, 8).mul(7).remainder(251).byte(), torch.arange(60) % 2, ("a", "b")
)


def classifier(path: Path) -> Callable[[Path], object]:
    network, training = NetworkConfig(name="cnn", width=2), ClassifierTraining()
    save_classifier(path, start_classifier(network, training, IMAGES), network, training, data=DATA)
    return load_trained


def gan(path: Path) -> Callable[[Path], object]:
    networks, training = GanNetworks(family="dcgan", width=2, latent_dim=3, conditional=True), GanTraining()
    state = start(networks, training, size=8, channels=1, num_classes=2)
    save_gan(path, state, networks, training, data={**DATA, "class_counts": [30, 30]})
    return load_gan


def vae(path: Path) -> Callable[[Path], object]:
    baseline = Baseline(width=2, latent_dim=3)
    save_baseline(path, start_vae(baseline, size=8, channels=1), baseline, step=0, data=DATA)
    return load_gan


def mixture(path: Path) -> Callable[[Path], object]:
    baseline = Baseline(kind="gaussian-mixture", components=2, latent_dim=3, steps=1)
    found = next(iter(fit_mixture(IMAGES, baseline)))
    save_baseline(path, found.generator, baseline, step=1, data=DATA)
    return load_gan


KINDS = {"classifier": classifier, "gan": gan, "vae": vae, "mixture": mixture}
NETWORK = {"classifier": "network", "gan": "networks", "vae": "baseline"}
OF_DATA: list[tuple[str, Any]] = [
    *(("size", value) for value in (0, -1, 1 << 40, 1e9, "8", True, None, [8], float("nan"))),
    *(("channels", value) for value in (0, -3, 10**9, "1", None, {})),
    *(("classes", value) for value in ("ab", 5, None, [1, 2], ["a" * 5000, "b"], {"a": 0}, ["c"] * 200_000)),
    *(("name", value) for value in (None, 7, ["x"], "x" * 5000)),
    *(("digest", value) for value in (None, 7, "x" * 5000)),
    *(("class_counts", value) for value in ([-1, 3], [1], [0, 0], "12", [1e400, 1], [2**70, 1])),
]
OF_NETWORK: list[tuple[str, Any]] = [
    ("width", value) for value in (0, -1, 10**9, 1 << 16, 1e30, float("nan"), "wide", [1])
] + [("depth", 10**8), ("latent_dim", 10**9), ("latent_dim", -1), ("name", 7), ("stages", 40), ("new\nkey\x1b[31m", 1)]
OF_NORMALISATION: list[tuple[str, Any]] = [
    *(("mean", value) for value in ([float("nan")], [float("inf")], [1e30], [], "0.5", None, [0.1, 0.2], ["x"])),
    *(("std", value) for value in ([0.0], [-1.0], [float("nan")], [1e-50], [float("inf")], [], [0.5, 0.5], None)),
]
CASES = [
    *((kind, "data", *change) for kind in KINDS for change in OF_DATA),
    *((kind, section, *change) for kind, section in NETWORK.items() for change in OF_NETWORK),
    *(("classifier", "normalisation", *change) for change in OF_NORMALISATION),
    *(("classifier", "training", key, value) for key, value in (("learning_rate", float("nan")), ("epochs", -1))),
    *(("gan", "training", key, float("inf")) for key in ("information", "adversarial", "gradient_penalty")),
]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Callable[[Path], object]]]:
    folder = tmp_path_factory.mktemp("written")
    return {
        kind: (folder / f"{kind}.safetensors", make(folder / f"{kind}.safetensors")) for kind, make in KINDS.items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read(kind: str, written: dict[str, tuple[Path, Callable[[Path], object]]]) -> None:
    path, load = written[kind]
    load(path)


def test_every_lie_of_a_header_is_refused_in_one_line_with_file_and_field(
    tmp_path: Path, written: dict[str, tuple[Path, Callable[[Path], object]]]
) -> None:
    wrong = []
    for kind, section, key, value in CASES:
        source, load = written[kind]
        found, path = load_checkpoint(source), tmp_path / "lie.safetensors"
        config = {**found.config, section: {**found.config[section], key: value}}
        save_checkpoint(path, kind=found.kind, config=config, state=found.state)
        try:
            load(path)
        except ValueError as error:
            said = str(error)
            if not (said.startswith(str(path)) and said.isprintable() and len(said) < 600):
                wrong.append((kind, section, key, str(value)[:30], said[:300]))
            continue
        if (kind, key) not in IGNORED:
            wrong.append((kind, section, key, str(value)[:30], "was read"))
    assert not wrong, "\n".join(map(str, wrong))


IGNORED = {("classifier", "class_counts")}
"""Not kept by that kind."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("section", ["network", "networks", "baseline", "training", "data", "normalisation", ""])
@pytest.mark.parametrize("value", [None, 3, "text", [1], []], ids=str)
def test_a_section_of_another_form_is_refused(
    kind: str, section: str, value: Any, tmp_path: Path, written: dict[str, tuple[Path, Callable[[Path], object]]]
) -> None:
    source, load = written[kind]
    found, path = load_checkpoint(source), tmp_path / "lie.safetensors"
    if section and section not in found.config:
        return
    save_checkpoint(
        path, kind=found.kind, config={**found.config, section: value} if section else {}, state=found.state
    )
    with pytest.raises(ValueError, match=r"lie\.safetensors") as error:
        load(path)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("step", [-1, 1.5, None, "3", True, 1 << 60])
@pytest.mark.parametrize("kind", KINDS)
def test_a_number_of_steps_is_one(
    kind: str, step: Any, tmp_path: Path, written: dict[str, tuple[Path, Callable[[Path], object]]]
) -> None:
    source, load = written[kind]
    found, path = load_checkpoint(source), tmp_path / "lie.safetensors"
    save_checkpoint(path, kind=found.kind, config=found.config, state={**found.state, "step": step})
    with pytest.raises(ValueError, match=r"lie\.safetensors .*step"):
        load(path)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("classifier", {"network": {"name": "cnn", "width": 60_000, "depth": 900}}),
        ("classifier", {"network": {"name": "mlp", "width": 60_000, "depth": 100}}),
        ("classifier", {"network": {"name": "resnet", "width": 60_000, "stages": 6}}),
        (
            "classifier",
            {"network": {"name": "torchvision:vit_h_14"}, "data": {**DATA, "size": 224, "channels": 3}},
        ),
        ("classifier", {"data": {**DATA, "classes": [f"class {number}" for number in range(90_000)], "size": 4096}}),
        ("gan", {"networks": {"family": "biggan", "width": 16_000}, "data": {**DATA, "size": 4096}}),
        ("gan", {"networks": {"family": "mlp", "width": 16_000, "latent_dim": 60_000}}),
        ("vae", {"baseline": {"width": 16_000, "latent_dim": 60_000}, "data": {**DATA, "size": 2048}}),
    ],
)
def test_a_small_file_makes_no_large_network(kind: str, change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "bomb.safetensors"
    load = KINDS[kind](path)
    found = load_checkpoint(path)
    save_checkpoint(path, kind=found.kind, config={**found.config, **change}, state={"step": 0})
    if len(json.dumps(change)) < 1000:
        assert path.stat().st_size < 4000
    with pytest.raises(ValueError, match=r"bomb\.safetensors holds weights that do not fit its own .* larger"):
        load(path)


def test_a_mixture_is_finite_and_of_its_own_form(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    mixture(path)
    found = load_checkpoint(path)
    generator = found.state["generator"]
    for key, lie in (
        ("weights", generator["weights"] * float("nan")),
        ("means", generator["means"][:, :1]),
        ("centre", torch.zeros(3, 8, 8)),
        ("basis", generator["basis"][..., :4]),
        ("means", torch.zeros(1, 1 << 20)),
        ("means", torch.zeros(3)),
    ):
        save_checkpoint(path, kind="gan", config=found.config, state={"generator": {**generator, key: lie}, "step": 1})
        with pytest.raises(ValueError, match="weights that do not fit its own configuration"):
            load_gan(path)
