"""Every form in which a classifier comes in: its answers, its gradients, and what is refused in one line."""

import contextlib
import hashlib
import json
import math
import pickle
import socket
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from advgan.classifier.sources import holds_weights, load_classifier
from advgan.classifier.stored import save_classifier
from advgan.classifier.training import start
from advgan.config import ClassifierTraining, NetworkConfig
from advgan.data import ImageSet
from advgan.models.classifiers.architectures import build_network
from advgan.models.classifiers.image_forms import preparation
from advgan.models.classifiers.probing import looks_like_probabilities
from advgan.storage.checkpoints import parameters_digest
from attacks import Classifier, fgsm, uniform_noise
from attacks.random import normal, seeded, uniform

CLASSES = ("ant", "bee", "cat", "dog")
LABELS = torch.tensor([0, 1, 2, 3, 0])


def pictures(size: int = 8, channels: int = 1) -> Tensor:
    return uniform(0, torch.arange(5), (channels, size, size))


def load(source: object, *, size: int = 8, channels: int = 1, num_classes: int = 4, **options: Any) -> Classifier:
    return load_classifier(str(source), size=size, channels=channels, num_classes=num_classes, **options)


def refused(source: object, message: str, **options: Any) -> None:
    with pytest.raises(ValueError, match=message) as error:
        load(source, **options)
    assert "\n" not in str(error.value)


def small_network() -> nn.Module:
    with seeded(3):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(256, 4),
        )


def objective(logits: Tensor) -> Tensor:
    return logits[:, 0]


class Touch:
    """A pickle that leaves a mark when it is run."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


# A user's own file


def user_file(tmp_path: Path, body: str) -> str:
    (tmp_path / "mine.py").write_text(f"import torch\nfrom torch import nn\n{body}\n")
    return f"{tmp_path / 'mine.py'}:net"


LINEAR = "nn.Sequential(nn.Flatten(), nn.Linear(64, 4))"


@pytest.mark.parametrize("body", [f"net = {LINEAR}", f"def net(): return {LINEAR}", f"net = lambda size=3: {LINEAR}"])
def test_a_module_or_a_function_of_a_file_is_a_classifier(tmp_path: Path, body: str) -> None:
    classifier = load(user_file(tmp_path, body))
    expected = classifier.network(pictures())  # images in [0, 1] unless mean and std are given
    assert torch.equal(classifier.logits(pictures()), expected)
    assert not classifier.network.training
    assert not any(each.requires_grad for each in classifier.parameters())
    assert (classifier.passes.forwards, classifier.passes.backwards) == (5, 0)  # the trial is not counted


def test_mean_and_std_of_the_user_s_are_applied(tmp_path: Path) -> None:
    classifier = load(user_file(tmp_path, f"net = {LINEAR}"), mean=[0.5], std=[0.25])
    assert torch.allclose(classifier.logits(pictures()), classifier.network((pictures() - 0.5) / 0.25), atol=1e-6)


def test_loading_leaves_the_global_generator_alone_and_repeats_itself(tmp_path: Path) -> None:
    source = user_file(tmp_path, f"def net(): return {LINEAR}")
    before = torch.random.get_rng_state()
    first, second = load(source).logits(pictures()), load(source).logits(pictures())
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("body", "options", "message"),
    [
        ("def net(num_classes): ...", {}, "needs the arguments num_classes, but it is called with none"),
        (f"net = {LINEAR}", {"num_classes": 7}, "knows 4 classes, the data have 7"),
        (f"net = {LINEAR}", {"size": 9}, r"does not take 1x9x9 images \(.*--resize"),
        ("net = nn.Conv2d(3, 4, 8)", {}, r"takes images of 3 channels, the data have 1: --set data\.channels=3"),
        (f"net = {LINEAR}", {"mean": [0.5]}, "--mean and --std belong together"),
        (f"net = {LINEAR}", {"mean": [0.5] * 3, "std": [0.5] * 3}, "mean has 3 and std 3 numbers, the images have 1"),
        (f"net = {LINEAR}", {"mean": [0.5], "std": [0.0]}, "std must be above 0"),
    ],
)
def test_what_does_not_fit_the_data_is_one_clear_line(
    tmp_path: Path, body: str, options: dict[str, Any], message: str
) -> None:
    refused(user_file(tmp_path, body), message, **options)


def test_a_python_file_without_an_object_says_what_to_add(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("net = 1")
    refused(tmp_path / "mine.py", r"name the module or function in it, .*mine\.py:OBJECT")


# Our own checkpoints


def test_our_own_runs_come_with_their_normalisation(tmp_path: Path) -> None:
    data = ImageSet((pictures() * 255).to(torch.uint8), LABELS, CLASSES, "noise")
    network, training = NetworkConfig(), ClassifierTraining()
    state = start(network, training, data)
    described = {"name": "noise", "digest": data.digest, "classes": list(CLASSES), "size": 8, "channels": 1}
    save_classifier(tmp_path / "checkpoints" / "last.safetensors", state, network, training, data=described)
    for source in (tmp_path, tmp_path / "checkpoints" / "last.safetensors"):
        assert torch.equal(load(source).logits(pictures()), state.classifier().logits(pictures()))
    message = r"trained on 1x8x8 images \(noise\), the data have 3x9x9: add --resize 8 and --set data\.channels=1"
    refused(tmp_path, message, size=9, channels=3)
    refused(tmp_path, "knows 4 classes, the data have 5", num_classes=5)
    refused(tmp_path, "--mean and --std: nothing uses it here", mean=[0.5], std=[0.5])
    refused(tmp_path, "input_size: nothing uses it here", input_size=9)


def test_images_are_no_model(tmp_path: Path) -> None:
    path = tmp_path / "images.npz"
    path.write_bytes(b"PK")
    refused(path, r"images\.npz holds images, or what can be made of them, and no network")


def test_a_name_that_is_only_an_architecture_says_how_to_train_one() -> None:
    refused("resnet", "an architecture with nothing trained: type advgan fit --model resnet")


def test_an_unknown_name_lists_the_forms() -> None:
    refused("nothing like it", "no model 'nothing like it': give a run folder, .*FILE.onnx")
    refused("resnet5000", "no model 'resnet5000': did you mean resnet")
    refused("resnet50", r"no model 'resnet50': did you mean torchvision:resnet50\?")


@pytest.mark.parametrize(("name", "meant"), [("mine:Net", "mine.py:Net"), ("mine", "mine.py:OBJECT")])
def test_a_module_of_the_working_folder_is_told_how_it_is_spelt(
    name: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").touch()
    refused(name, f"no model '{name}': did you mean {meant}")


# torchvision


@pytest.fixture
def squeezenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A network whose weights lie at an address that torchvision takes for the published one's."""
    from torchvision.models import SqueezeNet1_1_Weights, squeezenet1_1

    with seeded(5):
        network = squeezenet1_1()
    torch.save(network.state_dict(), tmp_path / "weights")
    digest = hashlib.sha256((tmp_path / "weights").read_bytes()).hexdigest()
    published = (tmp_path / "weights").rename(tmp_path / f"squeezenet1_1-{digest[:8]}.pth")
    monkeypatch.setattr(SqueezeNet1_1_Weights.IMAGENET1K_V1.value, "url", published.as_uri())
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return network.eval()


def cached_weights(tmp_path: Path) -> Path:
    (file,) = (tmp_path / "torch" / "hub" / "checkpoints").iterdir()
    return file


@pytest.mark.parametrize("source", ["torchvision:squeezenet1_1@IMAGENET1K_V1", "torchvision:squeezenet1_1"])
def test_published_weights_of_torchvision_bring_their_preprocessing(
    tmp_path: Path, squeezenet: nn.Module, source: str
) -> None:
    options: dict[str, Any] = {"channels": 3, "num_classes": 1000}
    classifier = load(source, size=224, **options)
    assert classifier.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert classifier.std.flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])
    images = pictures(224, 3)
    with torch.no_grad():
        expected = squeezenet((images - classifier.mean) / classifier.std)
    assert torch.equal(classifier.logits(images), expected)
    assert cached_weights(tmp_path).is_file()
    small = load(source, size=32, **options)
    assert small.resize == 224
    assert small.logits(pictures(32, 3)).shape == (5, 1000)


def test_weights_in_the_cache_are_held_against_their_hash(tmp_path: Path, squeezenet: nn.Module) -> None:
    options: dict[str, Any] = {"channels": 3, "num_classes": 1000, "size": 64}
    load("torchvision:squeezenet1_1", **options)
    with cached_weights(tmp_path).open("r+b") as file:
        file.seek(5000)
        file.write(b"oops")
    refused("torchvision:squeezenet1_1", r"is damaged \(SHA-256 .*: delete it and try again", **options)


def test_a_download_that_is_not_what_it_should_be_is_not_kept(
    tmp_path: Path, squeezenet: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.models import SqueezeNet1_1_Weights

    other = tmp_path / "squeezenet1_1-00000000.pth"
    other.write_bytes(b"something else")
    monkeypatch.setattr(SqueezeNet1_1_Weights.IMAGENET1K_V1.value, "url", other.as_uri())
    refused("torchvision:squeezenet1_1", "not what its name promises", channels=3, num_classes=1000)
    assert list((tmp_path / "torch" / "hub" / "checkpoints").iterdir()) == []


def test_weights_that_cannot_be_downloaded_name_the_file_and_the_folder(
    tmp_path: Path, squeezenet: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    message = r"cannot download squeezenet1_1-\w+\.pth \(no route to host\): put the file of .* into .*checkpoints"
    refused("torchvision:squeezenet1_1", message, channels=3, num_classes=1000)


def test_a_training_run_can_start_from_published_weights(squeezenet: nn.Module) -> None:
    grey = ImageSet((pictures(32) * 255).to(torch.uint8), LABELS, CLASSES, "noise")
    state = start(NetworkConfig(name="torchvision:squeezenet1_1@IMAGENET1K_V1"), ClassifierTraining(), grey)
    assert state.mean == pytest.approx(((0.485 + 0.456 + 0.406) / 3,))
    kernel, published = (each.get_submodule("features.0").weight for each in (state.network, squeezenet))
    assert torch.allclose(kernel, published.sum(dim=1, keepdim=True), atol=1e-6)
    assert state.network(pictures(32)).shape == (5, 4)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "torchvision:squeezenet1_1@IMAGENET1K_V9",
            "no weights 'IMAGENET1K_V9': choose from IMAGENET1K_V1, DEFAULT, random",
        ),
        ("torchvision:squeezenet", "did you mean squeezenet1_1"),
        ("timm:test_resnet@nothing", "no weights 'nothing': choose from r160_in1k"),
    ],
)
def test_unknown_networks_and_weights_of_libraries_suggest_known_ones(source: str, message: str) -> None:
    refused(source, message)


# timm and the hub


def fill_hub_cache(folder: Path, repository: str, files: dict[str, Callable[[Path], object]]) -> None:
    cache = folder / f"models--{repository.replace('/', '--')}"
    snapshot = cache / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("0" * 40)
    for name, write in files.items():
        write(snapshot / name)


class Hub(NamedTuple):
    cache: Path
    lookups: list[object]
    """Every attempt to find the hub's address, all in vain."""


@pytest.fixture
def offline_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    from huggingface_hub import constants

    hub = Hub(tmp_path / "hub", [])

    def unresolved(*arguments: object, **_: object) -> None:
        hub.lookups.append(arguments)
        raise OSError("Name or service not known")

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub.cache))
    monkeypatch.setattr(socket, "getaddrinfo", unresolved)
    return hub


def test_timm_and_hub_networks_come_from_the_cache_when_offline(offline_hub: Hub) -> None:
    import timm
    from safetensors.torch import save_file

    with seeded(5):
        network = timm.create_model("test_resnet.r160_in1k")
    config = {"architecture": "test_resnet", "num_classes": 1000, "pretrained_cfg": network.pretrained_cfg}

    def weights(path: Path) -> None:
        save_file({name: each.contiguous() for name, each in network.state_dict().items()}, path)

    files: dict[str, Callable[[Path], object]] = {
        "model.safetensors": weights,
        "config.json": lambda path: path.write_text(json.dumps(config)),
    }
    fill_hub_cache(offline_hub.cache, "timm/test_resnet.r160_in1k", files)
    images, options = pictures(160, 3), {"size": 160, "channels": 3, "num_classes": 1000}
    for source in (
        "timm:test_resnet",
        "timm:test_resnet@r160_in1k",
        "timm:test_resnet.r160_in1k",
        "hf-hub:timm/test_resnet.r160_in1k",
        "hf-hub:timm/test_resnet.r160_in1k@main",
    ):
        classifier = load(source, **options)
        with torch.no_grad():
            expected = network.eval()((images - classifier.mean) / classifier.std)
        assert torch.allclose(classifier.logits(images), expected, atol=1e-5)
        assert classifier.mean.flatten().tolist() == pytest.approx(list(network.pretrained_cfg["mean"]))


def test_a_hub_out_of_reach_is_one_clear_line_at_once(offline_hub: Hub) -> None:
    refused("hf-hub:nobody/nothing", "cannot load hf-hub:nobody/nothing .*neither in the cache .*hub")
    refused("timm:test_resnet", "cannot load timm:test_resnet .*neither in the cache .*hub")
    assert len(offline_hub.lookups) == 2  # one a model; the hub's client would try again for most of a minute


@pytest.mark.parametrize(
    ("module", "source", "extra"), [("timm", "timm:resnet18", "timm"), ("onnxruntime", "m.onnx", "onnx")]
)
def test_a_library_that_is_not_installed_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, source: str, extra: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.onnx").touch()
    monkeypatch.setitem(sys.modules, module, None)
    refused(source, rf"needs .*: pip install 'advgan\[{extra}\]'")


# Exported programs


def export(network: nn.Module, path: Path, *, batch: int | None = None) -> Path:
    free = None if batch is not None else ({0: torch.export.Dim("batch")},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own
        program = torch.export.export(network, (torch.rand(batch or 2, 1, 8, 8),), dynamic_shapes=free)
        torch.export.save(program, path)
    return path


@pytest.mark.parametrize("batch", [None, 1, 3])
def test_an_exported_program_answers_and_differentiates_as_its_network(tmp_path: Path, batch: int | None) -> None:
    network = small_network().eval()
    classifier = load(export(network, tmp_path / "m.pt2", batch=batch))
    original = Classifier(network)
    found, expected = (each.gradient(pictures(), objective) for each in (classifier, original))
    assert torch.allclose(found.logits, expected.logits, atol=1e-6)
    assert torch.allclose(found.gradient, expected.gradient, atol=1e-6)
    assert found.gradient.abs().max() > 0
    assert (classifier.passes.forwards, classifier.passes.backwards) == (5, 5)
    images = [fgsm(each, pictures(), LABELS, eps=0.1) for each in (classifier, original)]
    assert torch.allclose(*images, atol=1e-6)


def test_a_program_exported_in_train_mode_is_refused(tmp_path: Path) -> None:
    refused(export(small_network().train(), tmp_path / "m.pt2"), "exported in train mode .*call eval")


Change = Callable[[str, bytes], bytes]


def altered(path: Path, change: Change) -> None:
    with zipfile.ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(path, "w") as target:
        for name, content in members.items():
            target.writestr(name, change(name, content))


def in_model(old: str, new: str) -> Change:
    """Replace a string of the program, as it is written in its JSON."""

    def change(name: str, content: bytes) -> bytes:
        if not name.endswith("models/model.json"):
            return content
        assert json.dumps(old).encode() in content
        return content.replace(json.dumps(old).encode(), json.dumps(new).encode())

    return change


def with_guard(code: str) -> Change:
    return lambda _, content: content.replace(b'"guards_code": []', f'"guards_code": {json.dumps([code])}'.encode())


def with_pickled_sample_inputs(trap: bytes) -> Change:
    return lambda name, content: trap if "sample_inputs" in name else content


def with_pickled_weights(trap: bytes) -> Change:
    def change(name: str, content: bytes) -> bytes:
        if name.endswith("weights_config.json"):
            return content.replace(b'"use_pickle": false', b'"use_pickle": true', 1)
        return trap if name.endswith("weights/weight_0") else content

    return change


def symbol_of_batch(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        program = json.loads(archive.read("m/models/model.json"))
    size = program["graph_module"]["graph"]["tensor_values"]["input"]["sizes"][0]
    return str(size["as_expr"]["expr_str"])


PLACES = ["sample inputs", "weights", "symbol", "symbol in a call", "guard", "name", "operator"]


@pytest.mark.parametrize("place", PLACES)
def test_hostile_exported_programs_are_refused_unrun(tmp_path: Path, place: str) -> None:
    mark, path = tmp_path / "mark", export(small_network().eval(), tmp_path / "m.pt2")
    torch.save(Touch(mark), tmp_path / "trap")
    trap, symbol = (tmp_path / "trap").read_bytes(), symbol_of_batch(path)
    code = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    changes = {
        "sample inputs": (with_pickled_sample_inputs(trap), "a pickle that could run code"),
        "weights": (with_pickled_weights(trap), "a pickle that could run code"),
        "symbol": (in_model(symbol, code), "could run as code"),
        "symbol in a call": (in_model(symbol, f"Max({code!r}, 1)"), "could run as code"),
        "guard": (with_guard(code), "could run as code"),
        "name": (in_model("relu", f"relu={code}"), "could run as code"),
        "operator": (in_model("torch.ops.aten.relu.default", "torch.os.system"), "which is no operator"),
    }
    change, message = changes[place]
    altered(path, change)
    refused(path, message)
    assert not mark.exists()
    if place in ("sample inputs", "weights", "symbol", "symbol in a call"):
        with contextlib.suppress(Exception):  # whatever torch makes of it then
            torch.export.load(path)
        assert mark.exists()  # the trap was live: torch itself runs it


def test_honest_guards_and_residual_networks_are_accepted(tmp_path: Path) -> None:
    network = build_network(NetworkConfig(name="resnet", depth=1, width=4), size=8, channels=1, num_classes=4).eval()
    path = export(network, tmp_path / "m.pt2")
    altered(path, with_guard("L['flat_args'][0].size()[0] >= 1"))
    assert torch.allclose(load(path).logits(pictures()), Classifier(network).logits(pictures()), atol=1e-5)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 broken"])
def test_a_damaged_program_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.pt2").write_bytes(content)
    refused(tmp_path / "m.pt2", "cannot be read as an exported program")


# ONNX


def onnx_file(path: Path, shape: list[Any], *, softmax: bool = False) -> tuple[Path, nn.Linear]:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    with seeded(4):
        linear = nn.Linear(math.prod(side for side in shape[1:] if isinstance(side, int)), 4)
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "weight", "bias"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    output = "probabilities" if softmax else "logits"
    graph = helper.make_graph(
        nodes if softmax else nodes[:2],
        "linear",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [shape[0], 4])],
        [
            numpy_helper.from_array(linear.weight.detach().numpy(), "weight"),
            numpy_helper.from_array(linear.bias.detach().numpy(), "bias"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path, linear


@pytest.mark.parametrize("batch", ["n", 1, 3])
def test_an_onnx_file_answers_and_says_that_it_has_no_gradients(tmp_path: Path, batch: object) -> None:
    path, linear = onnx_file(tmp_path / "m.onnx", [batch, 1, 8, 8])
    classifier = load(path, mean=[0.5], std=[0.5])
    with torch.no_grad():
        expected = linear(((pictures() - 0.5) / 0.5).flatten(1))
    assert torch.allclose(classifier.logits(pictures()), expected, atol=1e-5)
    with pytest.raises(ValueError, match=r"m\.onnx gives no gradients: use an attack that needs none"):
        fgsm(classifier, pictures(), LABELS, eps=0.1)
    assert uniform_noise(classifier, pictures(), LABELS, eps=0.1).shape == pictures().shape


@pytest.mark.parametrize(("shape", "side"), [(["n", 1, 12, 12], 12), ([2, 12, 12, 1], 12), (["n", 8, 8, 1], 8)])
def test_images_are_brought_to_the_form_that_a_file_states(tmp_path: Path, shape: list[Any], side: int) -> None:
    path, linear = onnx_file(tmp_path / "m.onnx", shape)
    classifier, images = load(path), pictures()
    seen = images if side == 8 else nn.functional.interpolate(images, size=side, mode="bilinear", antialias=True)
    expected = linear((seen if shape[1] == 1 else seen.permute(0, 2, 3, 1)).flatten(1))
    torch.testing.assert_close(classifier.logits(images), expected.detach())
    words = preparation(classifier)
    assert ("12x12 inside the model" in words, "channels last" in words) == (side == 12, shape[1] != 1)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        (["n", 3, 8, 8], {}, r"takes images of 3 channels, the data have 1 \(--set data\.channels=3 converts them"),
        (["n", 1, 9, 8], {}, "takes images of 9x8 pixels: only square ones can be made for it"),
        (["n", 8, 8, 3], {}, r"takes images of 3 channels, the data have 1 \(--set data\.channels=3 converts them"),
        (["n", 64], {}, "one batch of images"),
        (["n", 1, "h", "w"], {}, "does not take 1x8x8 images"),
        (["n", 1, 8, 8], {"num_classes": 5}, "knows 4 classes, the data have 5"),
    ],
)
def test_an_onnx_file_that_does_not_fit_is_one_clear_line(
    tmp_path: Path, shape: list[Any], options: dict[str, Any], message: str
) -> None:
    path, _ = onnx_file(tmp_path / "m.onnx", shape)
    refused(path, message, **options)


def test_a_damaged_onnx_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"nonsense")
    refused(tmp_path / "m.onnx", "cannot be read as an ONNX model")


# Pickles


def test_weights_without_an_architecture_say_how_to_give_one(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "w.pth")
    refused(tmp_path / "w.pth", r"weights without their architecture: write a function .*FILE\.py:FUNCTION")
    torch.save(torch.rand(3), tmp_path / "t.pt")
    refused(tmp_path / "t.pt", "holds a Tensor: write a function")


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl", ".bin", ".ckpt"])
def test_hostile_pickles_are_refused_unrun(tmp_path: Path, suffix: str) -> None:
    mark = tmp_path / "mark"
    plain, packed = tmp_path / f"plain{suffix}", tmp_path / f"packed{suffix}"
    plain.write_bytes(pickle.dumps(Touch(mark)))
    torch.save({"weights": Touch(mark)}, packed)
    for path in (plain, packed):
        refused(path, "a pickle of more than tensors, which could run code: refused")
        assert not mark.exists()
    pickle.loads(plain.read_bytes())
    assert mark.exists()  # the trap was live


def test_weights_that_claim_to_unpack_to_gigabytes_are_refused_before_they_are_read(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "w.pth")
    content = bytearray((tmp_path / "w.pth").read_bytes())
    place = content.index(b"PK\x01\x02") + 24  # of the size of a member
    content[place : place + 4] = (0x7FFFFFF0).to_bytes(4, "little")
    (tmp_path / "w.pth").write_bytes(content)
    refused(tmp_path / "w.pth", "--limit ratio=")
    assert not holds_weights(tmp_path / "w.pth")


def test_a_file_that_is_nothing_known_lists_the_forms(tmp_path: Path) -> None:
    (tmp_path / "m.pt").write_bytes(b"nonsense")
    refused(tmp_path / "m.pt", "no model that can be read: give a run folder")


def test_torchscript_says_what_to_use_instead(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        archive.writestr("m/constants.pkl", b"")
    refused(tmp_path / "m.pt", r"TorchScript, which is deprecated: save it with torch\.export\.save as \.pt2")


# Forms of images, fresh weights, whole numbers


FOREIGN = """
import torch
from torch import nn

class Last(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 8)
    def forward(self, images):
        return {"logits": self.layer(images.permute(0, 3, 1, 2)).flatten(1)}

class Large(nn.Module):
    image_size = 24
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3 * 24 * 24, 4)
    def forward(self, images):
        return (self.layer(images.flatten(1)),)

class Silent(Large):
    image_size = None
"""


def test_a_module_is_tried_with_the_channels_last_and_at_the_side_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(FOREIGN)
    images = pictures(channels=3)
    last, large = (load(f"{tmp_path}/m.py:{name}", channels=3) for name in ("Last", "Large"))
    assert (last.layout, last.resize, large.layout, large.resize) == ("NHWC", None, "NCHW", 24)
    torch.testing.assert_close(last.logits(images), last.network.layer(images).flatten(1))
    assert (
        preparation(last) == "none, pixels from 0 to 1; channels last; logits from 'logits' of the dict that it returns"
    )
    assert "resized to 24x24 inside the model; logits from 0 of the tuple" in preparation(large)
    assert fgsm(large, images, LABELS, eps=0.1).shape == images.shape
    refused(f"{tmp_path}/m.py:Silent", "--set input_size=N makes them N pixels wide inside the model", channels=3)
    assert load(f"{tmp_path}/m.py:Silent", channels=3, input_size=24).resize == 24
    assert load(f"{tmp_path}/m.py:Last", channels=3, layout="NHWC").layout == "NHWC"


def test_networks_of_torchvision_come_with_fresh_weights_on_request() -> None:
    first, again = (load("torchvision:squeezenet1_1@random", size=32) for _ in range(2))
    images = pictures(32)
    assert torch.equal(first.logits(images), again.logits(images))
    assert first.logits(images).shape == (5, 4)
    refused("torchvision:squeezenet1_2@random", "has no classifier 'squeezenet1_2'")


def test_networks_of_timm_come_with_fresh_weights_on_request() -> None:
    pytest.importorskip("timm")
    assert load("timm:resnet10t@random", size=32).logits(pictures(32)).shape == (5, 4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # torch means to move these networks
def test_quantised_networks_are_named_and_told_to_have_no_gradients(tmp_path: Path) -> None:
    engines = [each for each in torch.backends.quantized.supported_engines if each != "none"]
    if not engines:
        pytest.skip("this build of torch cannot compute with whole numbers")
    (tmp_path / "q.py").write_text(
        "import torch\nfrom torch import nn\n"
        f"torch.backends.quantized.engine = {engines[0]!r}\n"
        "plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))\n"
        "network = torch.ao.quantization.quantize_dynamic(plain, {nn.Linear}, dtype=torch.qint8)\n"
    )
    classifier = load(f"{tmp_path}/q.py:network")
    with pytest.raises(ValueError, match=r"q\.py:network gives no gradients: use an attack that needs none"):
        fgsm(classifier, pictures(), LABELS, eps=0.1)
    assert classifier.logits(pictures()).shape == (5, 4)
    assert len(parameters_digest(classifier.network.state_dict())) == 12


# Softmax instead of logits


def test_probabilities_are_told_from_logits(tmp_path: Path) -> None:
    path, _ = onnx_file(tmp_path / "m.onnx", ["n", 1, 8, 8], softmax=True)
    assert looks_like_probabilities(load(path).logits(pictures()))
    path, _ = onnx_file(tmp_path / "m.onnx", ["n", 1, 8, 8])
    assert not looks_like_probabilities(load(path).logits(pictures()))
    logits = normal(0, torch.arange(9), (1000,))
    assert looks_like_probabilities(torch.softmax(logits, dim=1).bfloat16().float())
    assert not looks_like_probabilities(logits)
    assert not looks_like_probabilities(torch.tensor([[0.5, 0.5], [0.5, 0.6]]))
    assert not looks_like_probabilities(torch.tensor([[1.5, -0.5]]))
