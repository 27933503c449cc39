"""The one door for scripts and notebooks: `import advgan`, and `python -m advgan` beside a user's own files."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

import advgan
import attacks
from advgan.config import DataConfig
from advgan.data import load_data
from attacks.table import ATTACKS

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def digits() -> tuple[torch.Tensor, torch.Tensor]:
    test = load_data(DataConfig()).test
    return test.unit()[:60], test.labels[:60]


@pytest.fixture(scope="module")
def network(digits) -> nn.Module:
    images, labels = digits
    with attacks.random.seeded(0):
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(network.parameters(), 0.05)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
    return network.eval()


@pytest.fixture(scope="module")
def found(network, digits):
    return advgan.attack(network, *digits, suite="quick", eps=0.2, probes=8)


@pytest.mark.parametrize("name", advgan.__all__)
def test_everything_at_the_door_is_there(name) -> None:
    assert name in dir(advgan)
    assert isinstance(getattr(advgan, name), str if name == "__version__" else Callable)


def test_the_door_opens_without_torch() -> None:
    code = "import sys, advgan; advgan.__version__; assert not {'torch', 'pandas', 'evaluation'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    with pytest.raises(AttributeError, match="no attribute 'attak'"):
        advgan.attak  # noqa: B018


def test_attacks_are_functions_by_their_names() -> None:
    for name in ("square", "fmn", "patch", "universal", "boundary", "apgd_ce"):
        assert ATTACKS[name.replace("_", "-")] is getattr(attacks, name)
    offered = [value for value in vars(attacks).values() if callable(value)]
    for name, attack in ATTACKS.items():
        assert attack in offered or getattr(attack, "func", None) in offered, name


def test_a_suite_in_one_call(found, network, digits) -> None:
    images, _ = digits
    assert isinstance(found.scores, pd.DataFrame)
    worst = found.table().loc[("worst-case", "robust_accuracy")]
    assert worst["samples"] == len(images)
    adversarial = found.images["pgd-linf-0.2"]
    assert (adversarial - images).abs().max() <= 0.2 + 1e-6
    assert found.config["cascade"]
    shown = found._repr_html_()
    assert "robust_accuracy" in shown
    assert all(finding.title in shown for finding in found.findings if finding.level == "warning")


def test_arrays_do_as_well_as_tensors(found, network, digits) -> None:
    images, labels = digits
    again = advgan.attack(network, images.numpy(), labels.tolist(), suite="quick", eps=[0.2], probes=0)
    assert list(again.scores["value"]) == list(found.scores["value"])


def test_runs_come_back_as_tables(tmp_path, found) -> None:
    from evaluation.jobs.attack.job import AttackConfig, run
    from evaluation.jobs.fit.job import FitConfig
    from evaluation.jobs.fit.job import run as fit
    from evaluation.jobs.setup import Setup

    fit(FitConfig.model_validate({"network": {"name": "mlp"}, "training": {"epochs": 1}}), Setup(out=tmp_path / "fit"))
    model = str(tmp_path / "fit")
    for name, steps in (("one", 1), ("two", 3)):
        config = AttackConfig(model=model, attacks=("pgd",), eps=(0.1,), steps=steps, num_samples=40, probes=0)
        run(config, Setup(out=tmp_path / name))
    run_one = advgan.load_run(tmp_path / "one")
    assert isinstance(run_one.scores, pd.DataFrame)
    assert run_one.table().loc[("pgd-linf-0.1", "robust_accuracy"), "samples"] == 40
    assert run_one.config["steps"] == 1
    assert any(name.endswith(".png") for name in run_one.images)
    assert "robust_accuracy" in run_one._repr_html_()
    both = advgan.compare(run_one, tmp_path / "two", found)
    row = both[(both["setting"] == "pgd-linf-0.1") & (both["metric"] == "robust_accuracy")]
    assert row[["one", "two"]].notna().all(axis=None)
    assert row["attack 3"].isna().all()
    assert row["two: images"].item() == 40, "paired on the images that both saw"
    assert row["two: difference"].item() == pytest.approx(row["two"].item() - row["one"].item())
    assert row["two: low"].item() <= row["two: difference"].item() <= row["two: high"].item()
    assert row["two: p"].item() <= 1
    assert "one" in both.attrs["verdict"]
    assert "two" in both.attrs["verdict"]
    again = advgan.compare(found, found)
    assert (again["attack 2: difference"] == 0).any()
    assert again.attrs["verdict"] == "attack 1 and attack 2 hold the same numbers of the same subject: nothing differs."
    with pytest.raises(ValueError, match="compare takes two runs or more; got 1"):
        advgan.compare(run_one)


@pytest.mark.parametrize(
    "launch", [["-m", "advgan"], ["-m", "torch.distributed.run", "--nproc-per-node=1", "-m", "advgan"]]
)
def test_files_of_the_user_do_not_take_our_place(launch, tmp_path) -> None:
    for name in ("cli", "attacks", "evaluation"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not ours')\n")
    (tmp_path / "neighbour.py").write_text("CLASSES = 10\n")
    (tmp_path / "mine.py").write_text(
        "import torch\nfrom neighbour import CLASSES\n"
        "network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, CLASSES))\n"
    )
    words = ["attack", "--model", "mine.py:network", "--attack", "fgsm", "-n", "20", "--out", "run", "-q", "--json"]
    plain = {"set": ["--set", "curve_points=0", "--set", "probes=0"]}
    ended = subprocess.run(
        [sys.executable, *launch, *words, *plain["set"]], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert '"robust_accuracy"' in ended.stdout
