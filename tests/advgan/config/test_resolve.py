from pathlib import Path

import pytest
import yaml

from advgan.config import ClassifierTraining, DataConfig, GanTraining, Section
from advgan.config.presets import FOLDER, preset_file, preset_names
from advgan.config.resolve import default_of, dump_yaml, parse_assignments, resolve


class Whole(Section):
    data: DataConfig = DataConfig()
    training: ClassifierTraining = ClassifierTraining()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text("training:\n  epochs: 3\n  learning_rate: 2e-4\n  defense: {eps: 8/255}\n")
    return path


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(file: Path) -> None:
    config = resolve(Whole, file=file, overrides={"training.epochs": 5})
    assert config.training.epochs == 5
    assert config.training.learning_rate == 2e-4  # which YAML reads as a string
    assert config.training.defense.eps == 8 / 255
    assert config.training.batch_size == ClassifierTraining().batch_size


def test_a_written_configuration_reads_back_equal(file: Path, tmp_path: Path) -> None:
    config = resolve(Whole, file=file)
    copy = tmp_path / "copy.yaml"
    copy.write_text(dump_yaml(config))
    assert resolve(Whole, file=copy) == config


def test_assignments_are_yaml_values() -> None:
    assert parse_assignments(["a.b=3", "c=[1, 2]", "d=", "e=x=y"]) == {"a.b": 3, "c": [1, 2], "d": None, "e": "x=y"}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"training.epoch": 3}, "unknown key training.epoch (did you mean epochs?)"),
        ({"zzz": 3}, "unknown key zzz (known: data, training)"),
        ({"training.epochs": 0}, "training.epochs: must be at least 1, not 0"),
        ({"training.epochs": "many"}, "training.epochs:"),
        ({"training.defense.eps": "8/0"}, "not a fraction: '8/0'"),
        ({"training.defense.eps": -1}, "training.defense.eps: must be at least 0, not -1"),
        ({"training.optimizer": "adam"}, "should be adamw or sgd, not 'adam' (did you mean adamw?)"),
        ({"data.source": "x", "data.source.y": 1}, "data.source.y: source is a value, not a section"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(overrides: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the message is checked below)
        resolve(Whole, overrides=overrides)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", "a: [1", "a: b: c"])
def test_a_file_without_keys_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"bad\.yaml") as error:
        resolve(Whole, file=path)
    assert "\n" not in str(error.value)


def test_wasserstein_without_penalty_is_refused() -> None:
    with pytest.raises(ValueError, match="must be Lipschitz"):
        resolve(GanTraining, overrides={"loss": "wasserstein", "gradient_penalty": 0})
    assert GanTraining(loss="wasserstein").penalty_weight == 10
    assert GanTraining(loss="hinge").penalty_weight == 0


def test_defaults_are_found_by_dotted_key() -> None:
    assert default_of(Whole, "training.defense.steps") == ClassifierTraining().defense.steps


def test_every_preset_loads() -> None:
    import importlib

    files = sorted(FOLDER.rglob("*.yaml"))
    assert any(len(path.relative_to(FOLDER).parts) > 2 for path in files), "folders of presets are covered"
    for path in files:
        verb = path.relative_to(FOLDER).parts[0]
        name = path.relative_to(FOLDER / verb).with_suffix("").as_posix()
        assert preset_file(verb, name) == path
        kind = getattr(importlib.import_module(f"evaluation.jobs.{verb}.job"), f"{verb.capitalize()}Config")
        resolve(kind, file=path)
        assert path.read_text().startswith("# "), f"{path}: its first line says what it is for"
        assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_an_unknown_preset_names_the_known_ones() -> None:
    name = preset_names("train")[0]
    assert preset_file("train", name).is_file()
    with pytest.raises(ValueError, match=f"did you mean {name}"):
        preset_file("train", name + "s")
    with pytest.raises(ValueError, match="no train preset"):
        preset_file("train", "../fit/mnist")
