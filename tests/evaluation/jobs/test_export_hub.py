"""The way to the Hugging Face hub, with a hub that is not one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
import yaml

from advgan.sampling.drawing import sample
from advgan.sampling.stored import load_gan
from evaluation.jobs.export.job import ExportConfig, run
from evaluation.jobs.setup import Setup
from evaluation.record.scores import Score
from evaluation.report.results import Results

REPOSITORY = "someone/digits-gan"
SCORE = Score(
    subject="mlp", data="toy/train", setting="cnn", metric="fd[cnn]", value=12.5, low=11.25, high=13.75, samples=2000,
    protocol="jackknife",
)  # fmt: skip


class Hub:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def create_repo(self, repo_id: str, **options: Any) -> None:
        self.calls.append(("create_repo", {"repo_id": repo_id, **options}))

    def upload_folder(self, **options: Any) -> None:
        self.calls.append(("upload_folder", options))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    fake = Hub()
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: fake)
    return fake


@pytest.fixture
def scored_run(tmp_path: Path, write_gan: Callable[..., Path]) -> Path:
    write_gan(tmp_path / "run/checkpoints", "mlp").rename(tmp_path / "run/checkpoints/best.safetensors")
    Results(command="train", title="t", run="run", scores=(SCORE,)).save(tmp_path / "run")
    return tmp_path / "run"


def push(source: Path, out: Path, **options: Any) -> Path:
    config = ExportConfig(checkpoint=str(source), push_to_hub=REPOSITORY, **options)
    folder = run(config, Setup(device="cpu", out=out)).folder
    assert folder is not None
    return folder


def executed(folder: Path, monkeypatch: pytest.MonkeyPatch, *, count: int = 16) -> dict[str, Any]:
    """The names that the card's code leaves, with a folder for the hub and `count` for 16."""
    code = (folder / "README.md").read_text().split("```python\n")[1].split("```")[0].replace("16", str(count))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name: str(folder))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda name, file: str(folder / file))
    names: dict[str, Any] = {}
    exec(code, names)
    return names


def test_nothing_goes_to_the_hub_unasked(hub: Hub, scored_run: Path, tmp_path: Path) -> None:
    run(ExportConfig(checkpoint=str(scored_run)), Setup(device="cpu", out=tmp_path / "out"))
    assert hub.calls == []
    assert not (tmp_path / "out/README.md").exists()


def test_the_files_lie_on_disk_and_only_they_are_pushed(hub: Hub, scored_run: Path, tmp_path: Path) -> None:
    folder = push(scored_run, tmp_path / "out", private=True)
    created, uploaded = hub.calls
    assert created == ("create_repo", {"repo_id": REPOSITORY, "private": True, "exist_ok": True})
    assert (uploaded[1]["repo_id"], uploaded[1]["folder_path"]) == (REPOSITORY, folder)
    patterns = ["README.md", "config.json", "model.safetensors", "samples/grid.png"]
    assert uploaded[1]["allow_patterns"] == patterns
    assert all((folder / name).is_file() for name in patterns)


def test_the_card_has_data_scores_with_intervals_and_readable_metadata(
    hub: Hub, scored_run: Path, tmp_path: Path
) -> None:
    card = (push(scored_run, tmp_path / "out") / "README.md").read_text()
    _, head, body = card.split("---\n", 2)
    metadata = yaml.safe_load(head)
    assert (metadata["library_name"], metadata["pipeline_tag"]) == ("advgan", "unconditional-image-generation")
    assert huggingface_hub.ModelCard(card).data.tags == ["gan"]
    assert "| data | toy (hash d1) |" in body
    assert "| `fd[cnn]` | 12.5 | [11.25, 13.75] | 2,000 | cnn |" in body
    assert load_gan(tmp_path / "run").digest in body


def test_a_checkpoint_without_scores_says_so(hub: Hub, tmp_path: Path, write_gan: Callable[..., Path]) -> None:
    card = (push(write_gan(tmp_path, "mlp"), tmp_path / "out") / "README.md").read_text()
    assert "None: the checkpoint lies in no scored run." in card


@pytest.mark.parametrize("kind", ["safetensors", "pt2"])
def test_the_code_of_the_card_runs(
    kind: str, hub: Hub, scored_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = executed(push(scored_run, tmp_path / "out", format=kind), monkeypatch)
    assert names["images"].shape == (16, 3, 8, 8)
    if kind == "safetensors":
        assert torch.equal(names["images"], sample(load_gan(scored_run).generator, 16))


@pytest.mark.parametrize("kind", ["pt2", "onnx"])
@pytest.mark.parametrize("counts", [(90, 10, 0, 0), ()], ids=["known", "unknown"])
def test_the_code_of_the_card_draws_classes_in_the_shares_of_the_training_data(
    kind: str,
    counts: tuple[int, ...],
    hub: Hub,
    tmp_path: Path,
    write_gan: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if kind == "onnx":
        pytest.importorskip("onnxruntime")
    folder = push(write_gan(tmp_path, "mlp", counts, conditional=True), tmp_path / "out", format=kind)
    labels = executed(folder, monkeypatch, count=400)["labels"]
    expected = torch.tensor(counts or (1, 1, 1, 1)) / sum(counts or (1, 1, 1, 1))
    assert torch.allclose(labels.bincount(minlength=4) / len(labels), expected, atol=0.1)
    assert not torch.equal(labels[:-4], labels[4:])


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"latent_kind": "uniform"}, lambda noise: noise.abs().max() <= 1),
        ({"latent_kind": "sphere"}, lambda noise: torch.allclose(noise.norm(dim=1), torch.tensor(6.0).sqrt())),
        ({"categorical": 3, "continuous": 2}, lambda latents: torch.equal(latents[:, :3].sum(dim=1), torch.ones(16))),
    ],
    ids=["uniform", "sphere", "codes"],
)
def test_the_code_of_the_card_draws_latents_as_in_training(
    options: dict[str, object],
    size: Callable[[torch.Tensor], bool],
    hub: Hub,
    tmp_path: Path,
    write_gan: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    family = "infogan" if "categorical" in options else "mlp"
    folder = push(write_gan(tmp_path, family, **options), tmp_path / "out", format="pt2")
    names = executed(folder, monkeypatch)
    assert names["latents"].shape[1] == load_gan(tmp_path / "gan.safetensors").generator.space.dim
    assert size(names["latents"])


def test_offline_the_files_stay_and_the_error_says_what_to_type(
    hub: Hub, scored_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("Name or service not known\nand a second line")

    monkeypatch.setattr(hub, "create_repo", refuse)
    with pytest.raises(ValueError, match=f"hf upload {REPOSITORY}") as caught:
        push(scored_run, tmp_path / "out")
    assert len(str(caught.value).splitlines()) == 1
    assert "Name or service not known" in str(caught.value)
    assert str(caught.value).endswith("--include config.json --include model.safetensors --include samples/grid.png")
    assert (tmp_path / "out/model.safetensors").is_file()
    assert (tmp_path / "out/README.md").is_file()


@pytest.mark.parametrize("name", ["digits", "a/b/c", "a b/c", "/x"])
def test_a_name_without_owner_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="write ORG/NAME"):
        ExportConfig(push_to_hub=name)
