"""Settings that nothing uses, and values that are wrong: the line names where each was written."""

from collections.abc import Callable

import pytest

import cli

Refused = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Refused:
    """The line with which a command is refused as wrong usage."""
    monkeypatch.chdir(str(tmp_path))

    def call(command: str, **variables: str) -> str:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as end:
            cli.main([*command.split(), "-q"])
        for name in variables:
            monkeypatch.delenv(name)
        captured = capsys.readouterr()
        assert end.value.code == 2, captured.err
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        return captured.err.removeprefix("Error: ").strip()

    return call


@pytest.mark.parametrize(
    ("command", "begins", "way"),
    [
        ("fit --eps 0.1", "--eps:", "--defense pgd"),
        ("fit --norm l2", "--norm:", "--defense pgd"),
        ("fit --defense fgsm --steps 3", "--steps:", "--defense pgd"),
        ("fit --set training.defense.eps=0.1", "--set training.defense.eps:", "--defense pgd"),
        ("fit --set training.defense={eps:0.1}", "--set training.defense", ""),
        ("fit --set training.extra_fraction=0.5", "--set training.extra_fraction:", "--extra DIR"),
        ("fit --set training.nesterov=true", "--set training.nesterov:", "sgd"),
        ("attack --attack fgsm --steps 7", "--steps:", "fgsm is not an attack with this option"),
        ("attack --attack fgsm,uniform --restarts 7", "--restarts:", "none of fgsm, uniform"),
        ("attack --attack pgd --queries 7", "--queries:", "leave it out"),
        ("attack --attack square --step-size 0.1", "--step-size:", "leave it out"),
        ("attack --attack fog --eps 0.1", "--eps:", "bounded by a norm"),
        ("attack --attack fog --targeted", "--targeted:", "leave it out"),
        ("attack --attack pgd --cascade", "--cascade:", "only attack"),
        ("augment --attack pgd --num-generated 5", "--num-generated:", "--ckpt RUN"),
        ("augment --min-confidence 0.5", "--min-confidence:", "--ckpt RUN"),
        ("augment --set cascade=true", "--set cascade:", "advgan attack"),
        ("sample --ckpt x --steps 3", "--steps:", "--interpolate"),
        ("sample --ckpt x --reject-percentile 3", "--reject-percentile:", "--reject"),
        ("sample --ckpt x --model cnn", "--model:", "--arithmetic"),
        ("eval x --protocol clean", "--protocol:", "--features inception"),
        ("export --ckpt x --private", "--private:", "--push-to-hub"),
        ("train --set baseline.kind=vae --loss hinge", "--loss:", "baseline"),
        ("train --set networks.generator_labels=embedding", "--set networks.generator_labels:", "--conditional"),
        ("train --set training.penalty_every=4", "--set training.penalty_every:", "r1"),
        ("fit --exist-ok", "--exist-ok:", "--out"),
        ("fit --dry-run --json", "--json:", "--dry-run"),
        ("fit --resume x --out y", "--out:", "--resume"),
    ],
)
def test_what_nothing_uses_is_refused(refused: Refused, command: str, begins: str, way: str) -> None:
    line = refused(command)
    assert line.startswith(begins)
    assert way in line


def test_a_variable_is_refused_by_its_own_name(refused: Refused) -> None:
    assert refused("fit", ADVGAN_FIT_EPS="0.1").startswith("ADVGAN_FIT_EPS: nothing uses it here")
    assert refused("attack --attack fgsm", ADVGAN_ATTACK_STEPS="7").startswith("ADVGAN_ATTACK_STEPS: ")
    assert refused("fit", ADVGAN_FIT_EPOCHS="two").startswith("Invalid value for ADVGAN_FIT_EPOCHS")
    assert refused("attack", ADVGAN_ATTACK_EPS="a/b").startswith("ADVGAN_ATTACK_EPS: not a fraction")
    assert refused("fit --resume x", ADVGAN_FIT_EPOCHS="2")
    stray = refused("fit", ADVGAN_FIT_EPOCSH="2")
    assert stray.startswith("ADVGAN_FIT_EPOCSH is set")
    assert "did you mean ADVGAN_FIT_EPOCHS" in stray


def test_what_only_switches_off_may_be_said(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    from evaluation.jobs.attack.config import AttackConfig
    from evaluation.jobs.console.origins import given_settings

    verb = cli.cli.commands["attack"]
    context = verb.make_context("attack", ["--attack", "fog", "--untargeted", "--no-cascade"])
    values, origins = given_settings(context)
    assert origins["targeted"] == "--untargeted"
    from advgan.config.resolve import resolve

    assert resolve(AttackConfig, overrides=values, origins=origins).targeted is False


def test_files_and_presets_may_hold_what_is_not_used(tmp_path: object) -> None:
    from advgan.config.presets import preset_file, preset_names
    from advgan.config.resolve import resolve
    from evaluation.jobs.train.config import TrainConfig

    for name in preset_names("train"):
        resolve(TrainConfig, file=preset_file("train", name))


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("attack --eps abc", "--eps: should be a number, not 'abc'"),
        ("attack --eps -1", "--eps: must be at least 0, not '-1'"),
        ("attack -b x", "--batch-size: should be a whole number or auto, not 'x'"),
        ("attack --set num_samples=1.5", "--set num_samples: should be a whole number, not 1.5"),
        ("attack --set options=3", "--set options: should hold keys and values, not 3"),
        ("fit --set network=cnn", "--set network: should hold keys and values, not 'cnn'"),
        ("config show fitt", "no configuration for 'fitt'; verbs that have one: demo, fit"),
        ("attack --attack fgms", "--attack: no attack 'fgms' (did you mean fgsm?)"),
        ("attack --attack FGSM", "--attack: no attack 'FGSM' (did you mean fgsm?)"),
        ("attack --attack fgsm --suite quick", "--attack and --suite: give one of them"),
        ("attack --device gpu --dry-run", "--device gpu: unknown; use auto, cpu"),
        ("train --features inceptio --dry-run", "no extractor 'inceptio': give the run of a classifier"),
        ("train --data ring --family dcgan --dry-run", "family dcgan draws images from 8 pixels up"),
        ("eval digits --features pixls --dry-run", "no extractor 'pixls'"),
        ("eval --metrics FDI", "--metrics: no metric 'FDI' (did you mean fid?)"),
        ("attack --precision float16", "--precision: should be float32 or bfloat16, not 'float16'"),
        ("attack --model resnett", "no model 'resnett': did you mean resnet?"),
        ("eval --metrics recal", "--metrics: no metric 'recal' (did you mean recall?)"),
        ("train --family dcgam", "--family: should be mlp, points, dcgan, "),
        ("train --set training.loss=hing", "--set training.loss: should be minimax, "),
        ("attack --attack pgd --set options.pgd.lss=margin", "--set options.pgd.lss: no such option; pgd has "),
        ("fit --set training.epoch=3", "--set training.epoch: unknown key training.epoch (did you mean epochs?)"),
    ],
)
def test_a_bad_value_is_named_by_where_it_stands(refused: Refused, command: str, line: str) -> None:
    assert refused(command).startswith(line)


def test_of_two_mistakes_each_is_named_by_its_own_place(refused: Refused) -> None:
    from pathlib import Path

    Path("c.yaml").write_text("training: {epochs: 0}\n")
    line = refused("fit -c c.yaml --set training.batch_size=0")
    assert "c.yaml: training.epochs: must be at least 1, not 0" in line
    assert "--set training.batch_size: must be at least 1, not 0" in line
    assert "c.yaml: --set" not in line
