"""Rows and verdicts on the games of small GANs of digits, healthy ones and ones with a planted failure."""

import json
import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from advgan.config import DataConfig, GanNetworks, GanTraining
from advgan.data import Data, ImageSet, load_data
from advgan.gan.training import State, start, train
from advgan.models.latents import LatentSpace
from advgan.ranges import to_signed
from advgan.sampling.classes import sample_labels
from advgan.sampling.drawing import sample
from advgan.sampling.stored import TrainedGan, load_gan, save_gan
from evaluation.features.features import Extractor, extract
from evaluation.game.discriminator_findings import discriminator_findings
from evaluation.game.discriminator_fit import FitConfig, fitted
from evaluation.game.findings import game_findings
from evaluation.game.layer_spectra import growth, layer_spectra
from evaluation.game.match import Match
from evaluation.game.mode_consistency import gap, moved
from evaluation.game.rows import COSTLY, GAME_METRICS, game_rows
from evaluation.jobs.eval.game_panels import game_panels
from evaluation.report.panels import BarPanel, CurvePanel
from evaluation.statistics.intervals import Estimate

PERCEPTRONS = GanNetworks(family="mlp", width=4, latent_dim=8)
RECIPE: dict[str, Any] = {
    "batch_size": 128,
    "generator_learning_rate": 2e-3,
    "discriminator_learning_rate": 2e-3,
    "average_decay": 0.9,
    "steps": 120,
}
CHEAP = [word for word in GAME_METRICS if word not in COSTLY]


@cache
def digits() -> Data:
    return load_data(DataConfig())


@cache
def nearest_mean() -> Extractor:
    """Pixels as features, and the class with the nearest mean image."""
    images, labels = digits().train.unit().flatten(1), digits().train.labels
    means = torch.stack([images[labels == number].mean(dim=0) for number in range(10)])

    def look(batch: Tensor) -> tuple[Tensor, Tensor]:
        rows = batch.flatten(1)
        return rows, (-20 * torch.cdist(rows, means)).double().softmax(dim=1)

    return Extractor("nearest-mean", "0", look)


def trained(images: ImageSet | None = None, networks: GanNetworks = PERCEPTRONS, **settings: Any) -> State:
    recipe = GanTraining(**{**RECIPE, **settings})
    state = start(networks, recipe, size=8, channels=1, num_classes=10)
    for _ in train(state, images or digits().train, recipe):
        pass
    return state


def of_state(state: State, networks: GanNetworks = PERCEPTRONS, **settings: Any) -> TrainedGan:
    return TrainedGan(
        generator=state.average,
        discriminator=state.discriminator.requires_grad_(False).eval(),
        networks=networks,
        training=GanTraining(**{**RECIPE, **settings}),
        data_name="digits",
        data_digest=digits().digest,
        classes=digits().classes,
        size=8,
        channels=1,
        step=state.step,
        digest="0",
        path=Path("none"),
    )


@cache
def healthy() -> TrainedGan:
    return of_state(trained())


def match(gan: TrainedGan, *, count: int = 300, **options: Any) -> Match:
    indices = torch.arange(count)
    real = extract(nearest_mean(), digits().train.unit())
    known = {"train": digits().train, "held_out": digits().test, "fit": FitConfig(steps=60), **options}
    return Match(
        gan=gan,
        fakes=sample(gan.generator, indices),
        labels=sample_labels(gan.generator, indices),
        extractor=nearest_mean(),
        real=real,
        **known,
    )


def rows_of(seen: Match, wanted: list[str]) -> dict[str, Estimate]:
    return {word: estimate for word, estimate, _, _ in game_rows(seen, wanted)}


def codes(seen: Match, wanted: list[str]) -> set[str]:
    """Of warnings, about the logits and about the rows."""
    found = discriminator_findings(seen.judgements, loss=seen.loss) + game_findings(
        game_rows(seen, wanted), loss=seen.loss
    )
    return {finding.code for finding in found if finding.level == "warning"}


# Rows.


def test_every_row_has_its_protocol_and_an_interval_round_its_value_or_a_reason() -> None:
    rows = game_rows(match(healthy(), fit=FitConfig(steps=8)), list(GAME_METRICS))
    found = {word for word, _, _, _ in rows}
    missing = {"mode_hopping", "modes_changed", "oscillation", "oscillation_p_value", "singular_value_growth"}
    missing |= {"train_mode_shift", "train_mode_gap", "live_shift", "live_gap"}
    assert {word.partition("[")[0] for word in found} == set(GAME_METRICS) - missing
    for word, estimate, samples, protocol in rows:
        assert samples > 0
        if math.isnan(estimate.low):
            assert "no interval" in protocol, word
        else:
            assert estimate.low <= estimate.value <= estimate.high, word
            assert any(text in protocol for text in ("interval", "statistics", "without sampling", "a count")), word


def test_only_what_is_wanted_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*arguments: object, **options: object) -> None:
        raise AssertionError

    for name in ("fresh_divergence", "duality_gap", "player_gradients"):
        monkeypatch.setattr(f"evaluation.game.rows.{name}", never)
    assert set(rows_of(match(healthy()), ["r1", "minimax_weight"])) == {"r1", "minimax_weight"}
    with pytest.raises(ValueError, match="no metric 'r3' of a game"):
        game_rows(match(healthy()), ["r3"])


def test_rows_repeat_and_leave_the_networks_alone() -> None:
    gan = healthy()
    before = [
        value.clone() for network in (gan.generator, gan.game.discriminator) for value in network.state_dict().values()
    ]
    wanted = ["jsd_fresh", "duality_gap", "generator_gradient", "lipschitz_mean", "discriminator_calibration_error"]
    few = FitConfig(steps=10)
    assert rows_of(match(gan, fit=few), wanted) == rows_of(match(gan, fit=few), wanted)
    after = [value for network in (gan.generator, gan.game.discriminator) for value in network.state_dict().values()]
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))
    assert not gan.generator.training
    assert not gan.game.discriminator.training


def test_a_conditional_gan_with_packs_of_its_own_is_judged_too() -> None:
    for settings in ({"conditional": True}, {"packing": 2}):
        networks = PERCEPTRONS.model_copy(update=settings)
        gan = of_state(trained(networks=networks, steps=3), networks)
        found = rows_of(match(gan, fit=FitConfig(steps=4), count=101), [*CHEAP, *COSTLY])
        assert {"jsd_fresh", "duality_gap", "r1", "lipschitz_constant"} <= set(found)


def test_a_critic_has_no_rows_of_probabilities() -> None:
    settings: dict[str, Any] = {"loss": "wasserstein", "steps": 3}
    found = rows_of(match(of_state(trained(**settings), **settings), fit=FitConfig(steps=4)), list(GAME_METRICS))
    assert not {
        "discriminator_calibration_error",
        "minimax_weight",
        "overfitting_signs",
        "duality_gap",
        "jsd_own",
    } & set(found)
    assert {"wasserstein_estimate", "wasserstein_over_slope", "overfitting_share", "jsd_fresh"} <= set(found)


def test_logits_that_are_no_numbers_are_refused() -> None:
    gan = deepcopy(healthy())
    with torch.no_grad():
        next(gan.game.discriminator.parameters()).fill_(torch.nan)
    with pytest.raises(ValueError, match="NaN or infinite logits"):
        game_rows(match(gan), ["r1"])
    found = game_rows(match(gan), ["generator_gradient", "broken_gradients"])
    assert [finding.code for finding in game_findings(found, loss="hinge")] == ["broken-gradients"]


def test_snapshots_of_a_run_and_its_log_are_read(tmp_path: Path) -> None:
    recipe = GanTraining(**{**RECIPE, "steps": 20})
    state, folder = start(PERCEPTRONS, recipe, size=8, channels=1, num_classes=10), tmp_path / "checkpoints"
    for step in train(state, digits().train, recipe):
        if step.step in (10, 20):
            name = "best" if step.step == 10 else "last"
            save_gan(folder / f"{name}.safetensors", state, PERCEPTRONS, recipe, data=digits().describe())
    gan = load_gan(folder / "last.safetensors")
    of_checkpoints = {row[0]: row for row in game_rows(match(gan), ["mode_hopping", "modes_changed", "live_shift"])}
    assert "checkpoints of steps 10, 20, 300 common latents" in of_checkpoints["mode_hopping"][3]
    assert 0 < of_checkpoints["live_shift"][1].value < 0.5
    looks = [
        {
            "step": look,
            "distance": 1.0,
            "mode_counts": [50, 50] if look % 2 else [100, 0],
            "discriminator": {"real_probability_held_out": 0.5 + 0.1 * (look % 2), "fake_probability": 0.5},
            "singular_values": {"generator": [1.0, 1.0 + 9 * (look == 16)], "discriminator": [1.0]},
        }
        for look in range(1, 17)
    ]
    (tmp_path / "log.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in [*looks, {"step": 99, "distance": 0.0}])
    )
    wanted = ["mode_hopping", "modes_changed", "oscillation", "oscillation_p_value", "singular_value_growth"]
    found = game_rows(match(gan), wanted)
    of_log = {word: estimate.value for word, estimate, _, _ in found}
    assert of_log["mode_hopping"] == pytest.approx(0.5)
    assert of_log["modes_changed"] == 9
    assert of_log["oscillation"] > 0.5
    assert of_log["singular_value_growth[generator]"] == 10
    assert of_log["singular_value_growth[discriminator]"] == 1
    verdicts = {finding.code for finding in game_findings(found, loss="hinge")}
    assert verdicts == {"mode-hopping", "oscillating-game", "growing-spectrum"}


def test_spectra_are_named_by_layer() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[3.0, 0, 0], [0, 1, 0]]))
        network[2].weight.copy_(torch.eye(2) * 5)
    assert layer_spectra(network) == pytest.approx({"0": 3.0, "2": 5.0}, rel=1e-4)  # type: ignore[arg-type]
    assert growth([[1, 2], [1, 4], [1, 9]]) == pytest.approx(3)
    with pytest.raises(ValueError, match="two or more"):
        growth([[1.0]])


def test_shifts_of_known_size() -> None:
    first = torch.zeros(64, 4)
    assert moved(first, first + 1, unit=2.0, batch_size=32) == pytest.approx((1, 1, 1))
    assert gap(first + 3, real_mean=torch.zeros(4), unit=2.0) == pytest.approx((3, 3, 3))


def test_a_critic_multiplied_by_fifty_has_the_same_estimate_over_its_slope() -> None:
    wanted = ["wasserstein_estimate", "wasserstein_estimate_train", "wasserstein_over_slope"]
    plain, steep = rows_of(match(healthy()), wanted), rows_of(match(scaled(50.0)), wanted)
    assert steep["wasserstein_estimate"].value == pytest.approx(50 * plain["wasserstein_estimate"].value, rel=1e-4)
    assert steep["wasserstein_over_slope"] == pytest.approx(plain["wasserstein_over_slope"], rel=1e-4)
    assert plain["wasserstein_estimate"] != plain["wasserstein_estimate_train"]


def test_every_metric_has_a_line_of_help() -> None:
    assert all(text and len(text) < 110 and not text.endswith(".") for text in GAME_METRICS.values())


# Verdicts.


class Scaled(nn.Module):
    """A discriminator whose logits are multiplied."""

    def __init__(self, discriminator: Any, factor: float) -> None:
        super().__init__()
        self.own, self.factor, self.num_classes = discriminator, factor, discriminator.num_classes

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        logits: Tensor = self.factor * self.own(images, labels)
        return logits


class Replay(nn.Module):
    """A generator that draws the images of a set."""

    space = LatentSpace(1)
    num_classes = 0

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.images = nn.Parameter(to_signed(images), requires_grad=False)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        share = (1 + torch.erf(latents[:, 0] / 2**0.5)) / 2
        return self.images[(share * len(self.images)).long().clamp(max=len(self.images) - 1)]


def scaled(factor: float) -> TrainedGan:
    return replace(healthy(), discriminator=Scaled(healthy().discriminator, factor))


def won() -> TrainedGan:
    gan, config = healthy(), FitConfig(steps=200, learning_rate=5e-3)
    winner = fitted(gan.game.discriminator, gan.generator, digits().train, digits().validation, config=config)
    return replace(gan, discriminator=winner)


PLANTED: dict[str, tuple[Callable[[], TrainedGan], str]] = {
    "won": (won, "saturated-discriminator"),
    "dead": (lambda: scaled(0.0), "dead-discriminator"),
    "deaf generator": (lambda: scaled(0.0), "vanishing-gradient"),
    "inverted": (lambda: scaled(-1.0), "inverted-discriminator"),
    "overconfident": (lambda: scaled(-30.0), "uncalibrated-discriminator"),
    "too steep": (lambda: scaled(1000.0), "steep-discriminator"),
}


@pytest.mark.parametrize("name", list(PLANTED))
def test_a_planted_failure_is_named(name: str) -> None:
    plant, code = PLANTED[name]
    assert code in codes(match(plant()), CHEAP)


def test_a_healthy_game_is_silent() -> None:
    assert codes(match(healthy()), CHEAP) == set()


def test_a_discriminator_of_fifty_images_takes_held_out_ones_for_fakes() -> None:
    fifty = digits().train.draw(50, 0)
    settings: dict[str, Any] = {"batch_size": 50, "steps": 400, "discriminator_learning_rate": 1e-2}
    state = trained(fifty, networks=PERCEPTRONS.model_copy(update={"width": 32}), **settings)
    gan = of_state(state, PERCEPTRONS.model_copy(update={"width": 32}), **settings)
    found = codes(match(gan, train=fifty), ["overfitting_share", "overfitting_signs"])
    assert {"overfitting-discriminator", "held-out-taken-for-fakes"} <= found


def test_a_generator_that_draws_the_data_is_told_from_it_by_nobody() -> None:
    """Half of the digits are drawn, the other half is the training set."""
    images = digits().train
    half = len(images) // 2
    gan = replace(
        healthy(), generator=Replay(images.unit(slice(half))), discriminator=Scaled(healthy().discriminator, 0)
    )
    seen = match(gan, train=images.select(torch.arange(half, len(images))))
    found = rows_of(seen, ["jsd_fresh"])
    assert found["jsd_fresh"].low < 0.02
    assert "disjoint-images" not in codes(seen, ["jsd_fresh", "jsd_own"])


def test_a_collapsed_generator_has_a_large_gap_and_nothing_in_common_with_the_data() -> None:
    gan = replace(healthy(), generator=Replay(digits().train.unit(slice(0, 1))))
    assert {"large-duality-gap", "disjoint-images"} <= codes(
        match(gan, fit=FitConfig(steps=150)), ["jsd_fresh", "jsd_own", "duality_gap", "minimax_loss"]
    )


def test_spoilt_running_statistics_are_named() -> None:
    networks = GanNetworks(family="dcgan", width=4, latent_dim=16)
    state = trained(networks=networks, steps=60, batch_size=64, generator_learning_rate=1e-2)
    sound = of_state(state, networks)
    words = ["train_mode_shift", "eval_mode_gap", "train_mode_gap"]
    assert "broken-batch-norm" not in codes(match(sound), words)
    spoilt = deepcopy(sound)
    for module in spoilt.generator.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.add_(3.0)  # type: ignore[union-attr]
    assert "broken-batch-norm" in codes(match(spoilt), words)


def estimate(value: float, margin: float = 0.01) -> Estimate:
    return Estimate(value, value - margin, value + margin)


def test_verdicts_from_rows_need_the_whole_interval() -> None:
    def told(loss: str = "non-saturating", **known: Estimate) -> set[str]:
        rows = [(word, found, 100, "") for word, found in known.items()]
        return {finding.code for finding in game_findings(rows, loss=loss)}

    assert told() == set()
    assert told("wasserstein", lipschitz_mean=estimate(3.0)) == {"critic-slope"}
    assert told("wasserstein", lipschitz_mean=estimate(0.1)) == {"critic-slope"}
    assert told("wasserstein", lipschitz_mean=estimate(1.1)) == told(lipschitz_mean=estimate(3.0)) == set()
    assert told(overfitting_share=estimate(0.8)) == {"held-out-taken-for-fakes"}
    assert told(overfitting_share=estimate(0.8, 0.4)) == set()
    assert told(overfitting_share=Estimate(0.9, math.nan, math.nan)) == set()
    assert told("minimax", minimax_weight=estimate(0.001, 0.0005)) == {"vanishing-gradient"}
    assert told("non-saturating", minimax_weight=estimate(0.001, 0.0005)) == set()
    assert told(jsd_fresh=estimate(0.5), jsd_own=estimate(0.1)) == {"lazy-discriminator"}
    assert told(jsd_fresh=estimate(0.25), jsd_own=estimate(0.1)) == set()
    assert told(live_shift=estimate(0.9), eval_mode_gap=estimate(0.8), live_gap=estimate(0.2)) == {"lagging-average"}
    assert told(live_shift=estimate(0.9), eval_mode_gap=estimate(0.2), live_gap=estimate(0.2)) == set()
    assert told(duality_gap=estimate(0.7), minimax_loss=estimate(-0.3)) == set()


# Panels.


def test_the_report_shows_reliability_and_spectra() -> None:
    gan = healthy()
    curve, generator, discriminator = game_panels(gan, match(gan).judgements, subject="mlp 0")
    assert isinstance(curve, CurvePanel)
    assert len(curve.series[0].x) == len(curve.series[0].y) > 1
    assert curve.title == "Calibration of the discriminator, mlp 0"
    for panel, network in ((generator, gan.generator), (discriminator, gan.game.discriminator)):
        assert isinstance(panel, BarPanel)
        assert dict(zip(panel.categories, panel.series[0].values, strict=True)) == layer_spectra(network)
    assert len(game_panels(gan, None)) == 2
    hinge = replace(gan, training=GanTraining(loss="hinge"))
    assert len(game_panels(hinge, match(gan).judgements)) == 2
