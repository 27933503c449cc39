"""Gates on scores: what is read, what is refused before the work, and what fails after it."""

import pytest

from evaluation.jobs.attack.config import AttackConfig
from evaluation.jobs.console.gates import Gate, check_gates, failures, parse_gates
from evaluation.jobs.eval.config import EvalConfig
from evaluation.jobs.train.config import TrainConfig
from evaluation.record.scores import Score


def score(metric: str, value: float) -> Score:
    return Score(subject="a", data="b", setting="c", metric=metric, value=value, samples=10, protocol="d")


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("robust_accuracy=0.9", 0.9),
        ("robust_accuracy=90%", 0.9),
        ("robust_accuracy= 90 %", 0.9),
        ("robust_accuracy=0", 0),
        ("robust_accuracy=1", 1),
        ("recall=50%", 0.5),
        ("fd[cnn]=20", 20),
        ("fd=1e2", 100),
        ("copying_z=-3", -3),
    ],
)
def test_bounds_are_read(text: str, bound: float) -> None:
    assert parse_gates("--fail-under", [text])[0].bound == pytest.approx(bound)


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("robust_accuracy=90", "robust_accuracy=90% or robust_accuracy=0.9"),
        ("robust_accuracy=-0.1", "between 0 and 1"),
        ("robust_accuracy=900%", "between 0 and 1"),
        ("robust_accuracy=nan", "metric=number"),
        ("robust_accuracy=inf", "metric=number"),
        ("robust_accuracy=1.2.3", "metric=number"),
        ("robust_accuracy", "metric=number"),
        ("=0.3", "metric=number"),
        ("fd=30%", "without %"),
    ],
)
def test_bounds_that_could_only_be_mistakes_are_refused(text: str, way: str) -> None:
    with pytest.raises(ValueError, match="--fail-under") as error:
        parse_gates("--fail-under", [text])
    assert way in str(error.value)


def test_gates_on_scores_that_are_not_made_are_refused_before_the_work() -> None:
    def check(text: str, verb: str, config: object) -> None:
        check_gates(parse_gates("--fail-over", [text]), verb, config)  # type: ignore[arg-type]

    check("robust_accuracy=0.3", "attack", AttackConfig())
    check("fd[cnn]=3", "train", TrainConfig())
    check("difference/fd[cnn]=3", "eval", EvalConfig())
    check("classifier_score=3", "eval", EvalConfig())
    check("gan_test=0.5", "eval", EvalConfig(metrics=("use",)))
    with pytest.raises(ValueError, match=r"advgan attack makes no such score \(it makes clean_accuracy"):
        check("fid=3", "attack", AttackConfig())
    with pytest.raises(ValueError, match="did you mean robust_accuracy"):
        check("robust_acuracy=3", "attack", AttackConfig())
    check("fid=3", "eval", EvalConfig(features=("pixels", "inception")))
    with pytest.raises(ValueError, match="fd_infinity is the distance of others, or add --features inception"):
        check("fid_infinity=3", "train", TrainConfig())
    with pytest.raises(ValueError, match="add --metrics recall"):
        check("recall=0.3", "eval", EvalConfig(metrics=("fid",)))
    with pytest.raises(ValueError, match="advgan eval --metrics gan_test"):
        check("gan_test=0.3", "train", TrainConfig())


def test_a_gate_without_an_extractor_is_on_all_of_them() -> None:
    gate = Gate("--fail-over", "fd", 5)
    scores = [score("fd[cnn]", 4), score("fd[vgg16]", 6), score("fd_floor[cnn]", 7)]
    assert failures([gate], scores) == ["fd[vgg16] 6 is over 5 (c)"]
    assert failures([Gate("--fail-under", "robust_accuracy", 0.4)], [score("robust_accuracy", 0.3)]) == [
        "robust_accuracy 30.0 % is under 40 % (c)"
    ]


def test_a_score_that_could_not_be_made_holds_no_gate() -> None:
    assert failures([Gate("--fail-over", "recall", 0.5)], [score("precision", 0.9)]) == [
        "recall could not be made here, so --fail-over does not hold"
    ]
    assert failures([Gate("--fail-over", "recall", 0.5)], [score("recall", float("nan"))])
