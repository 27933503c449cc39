"""Classifiers on disk: what is saved comes back to the bit, and what cannot come back says why in one line."""

import pickle
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from advgan.classifier.stored import load_state, load_trained, save_classifier
from advgan.classifier.training import State, start, train
from advgan.config import ClassifierTraining, NetworkConfig
from advgan.data import ImageSet
from advgan.storage.checkpoints import load_checkpoint, parameters_digest, save_checkpoint
from attacks.random import uniform

CLASSES = ("ant", "bee", "cat")


def image_set(count: int = 48, channels: int = 3) -> ImageSet:
    pixels = (uniform(1, torch.arange(count), (channels, 8, 8)) * 256).to(torch.uint8)
    return ImageSet(pixels, torch.arange(count) % 3, CLASSES, "noise")


def describe(data: ImageSet) -> dict[str, Any]:
    described = {"name": data.name, "digest": data.digest, "classes": list(data.classes), "train": len(data)}
    return {**described, "size": data.size, "channels": data.channels}


def saved(path: Path, name: str = "cnn", **options: Any) -> tuple[State, ClassifierTraining, ImageSet]:
    data = image_set()
    training = ClassifierTraining.model_validate({"epochs": 4, "batch_size": 16, **options})
    network = NetworkConfig(name=name)
    state = start(network, training, data)
    for _ in islice(train(state, data, training), 5):
        pass
    save_classifier(path, state, network, training, data=describe(data))
    return state, training, data


def logits(state: State, images: Tensor) -> Tensor:
    return state.classifier().logits(images)


@pytest.mark.parametrize("decay", [0.0, 0.9])
@pytest.mark.parametrize("name", ["cnn", "resnet", "mlp", "timm:test_resnet"])
def test_a_saved_classifier_answers_as_before(tmp_path: Path, name: str, decay: float) -> None:
    state, training, data = saved(tmp_path / "c.safetensors", name, average_decay=decay)
    classifier, info = load_trained(tmp_path / "c.safetensors")
    assert torch.equal(classifier.logits(data.unit()), logits(state, data.unit()))
    assert classifier.name == info.name == name
    assert (info.classes, info.size, info.channels, info.step) == (CLASSES, 8, 3, 5)
    assert (info.data_name, info.data_digest) == ("noise", data.digest)
    assert (info.network.name, info.training) == (name, training)
    assert info.digest == parameters_digest(state.scored.state_dict())
    assert not classifier.network.training
    assert not any(each.requires_grad for each in classifier.parameters())


def test_the_average_is_what_comes_back(tmp_path: Path) -> None:
    state, _, data = saved(tmp_path / "c.safetensors", average_decay=0.9)
    classifier, _ = load_trained(tmp_path / "c.safetensors")
    assert state.average is not None
    live = state.network.eval()((data.unit() - classifier.mean) / classifier.std)
    assert not torch.allclose(classifier.logits(data.unit()), live, atol=1e-3)


def test_a_run_folder_means_its_best_checkpoint(tmp_path: Path) -> None:
    saved(tmp_path / "checkpoints" / "last.safetensors", "mlp")
    assert load_trained(tmp_path)[1].name == "mlp"
    saved(tmp_path / "checkpoints" / "best.safetensors", "cnn")
    assert load_trained(tmp_path)[1].path == tmp_path / "checkpoints" / "best.safetensors"


def test_training_goes_on_from_a_file_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    state, training, data = saved(tmp_path / "c.safetensors", average_decay=0.9)
    resumed = load_state(tmp_path / "c.safetensors")
    for each in (state, resumed):
        for _ in train(each, data, training):
            pass
        assert each.step == 12
    assert parameters_digest(state.scored.state_dict()) == parameters_digest(resumed.scored.state_dict())


def test_the_digest_names_the_weights(tmp_path: Path) -> None:
    saved(tmp_path / "a.safetensors")
    saved(tmp_path / "b.safetensors", seed=1)
    digests = [load_trained(tmp_path / f"{name}.safetensors")[1].digest for name in "aab"]
    assert digests[0] == digests[1] != digests[2]


def test_published_weights_are_not_needed_to_read_a_network_that_started_from_them(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    saved(path, "timm:test_resnet")
    rewrite(path, network={**load_checkpoint(path).config["network"], "name": "timm:test_resnet@r160_in1k"})
    assert load_trained(path)[1].name == "timm:test_resnet@r160_in1k"


def rewrite(path: Path, **changes: Any) -> None:
    checkpoint = load_checkpoint(path)
    save_checkpoint(path, kind=checkpoint.kind, config={**checkpoint.config, **changes}, state=checkpoint.state)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": {"name": "mlp"}}, "weights that do not fit mlp"),
        ({"network": {"name": "cnn", "wings": 2}}, "configuration unknown here .*wings"),
        ({"network": {"name": "gone.py:build"}}, "needs its network: no Python file at gone.py"),
        ({"data": {"name": "noise"}}, "lacks the configuration of a classifier"),
        ({"normalisation": {}}, "lacks the configuration of a classifier"),
    ],
)
def test_a_checkpoint_that_does_not_fit_itself_is_one_clear_line(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "c.safetensors"
    saved(path)
    rewrite(path, **changes)
    with pytest.raises(ValueError, match=message) as error:
        load_trained(path)
    assert "\n" not in str(error.value)


def test_a_network_file_that_changed_is_named_as_the_cause(tmp_path: Path) -> None:
    source, path = tmp_path / "net.py", tmp_path / "c.safetensors"
    body = (
        "from torch import nn\n"
        "def build(num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(192, {0}), nn.Linear({0}, num_classes))"
    )
    source.write_text(body.format(7))
    saved(path, f"{source}:build")
    assert load_trained(path)[1].step == 5
    source.write_text(body.format(9))
    with pytest.raises(ValueError, match=r"do not fit .*: the file has changed since"):
        load_trained(path)


def test_another_kind_of_checkpoint_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "g.safetensors", kind="gan", config={}, state={})
    with pytest.raises(ValueError, match="is a gan checkpoint, a classifier checkpoint is needed here"):
        load_trained(tmp_path / "g.safetensors")


class Hostile:
    """A pickle that leaves a mark when it is run."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


def test_a_pickle_under_the_name_of_a_checkpoint_is_refused_unrun(tmp_path: Path) -> None:
    path, mark = tmp_path / "best.safetensors", tmp_path / "mark"
    path.write_bytes(pickle.dumps(Hostile(mark)))
    with pytest.raises(ValueError, match="damaged or no advgan checkpoint"):
        load_trained(path)
    assert not mark.exists()
    pickle.loads(path.read_bytes())
    assert mark.exists()  # the trap was live
