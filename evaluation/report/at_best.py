"""What each score of a generator should be at best, so that a reader knows which way a number is good, and how far."""

import re
from collections.abc import Iterable, Mapping

from evaluation.record.scores import Score, word_of
from evaluation.report.text import format_number, format_rate, format_value, is_rate

BEST: Mapping[str, str] = {
    **dict.fromkeys(
        ("fid", "fid_infinity", "fid_unseen", "kid", "mind", "cmmd", "reverse_kl", "mode_kl", "mode_kl_forward"), "0"
    ),
    **dict.fromkeys(("mode_variation", "ndb_js", "jacobian_condition", "modes_changed", "mode_hopping"), "0"),
    **dict.fromkeys(("generator_loss_distance", "discriminator_loss_distance", "jsd_lower_bound"), "0"),
    **dict.fromkeys(
        ("train_held_out_gap", "discriminator_calibration_error", "duality_gap", "jsd_fresh", "oscillation"), "0"
    ),
    **dict.fromkeys(("overfitting_share", "broken_gradients", "train_mode_shift", "live_shift", "live_gap"), "0"),
    **dict.fromkeys(("eval_mode_gap", "train_mode_gap", "wasserstein_estimate", "wasserstein_over_slope"), "0"),
    **dict.fromkeys(("real_probability_train", "real_probability_held_out", "fake_probability"), "0.5"),
    **dict.fromkeys(("real_fake_separation", "train_held_out_separation"), "0.5"),
    **dict.fromkeys(("non_saturating_weight", "minimax_weight"), "0.5"),
    **dict.fromkeys(("real_accuracy_train", "real_accuracy_held_out", "fake_accuracy"), "50 %"),
    **dict.fromkeys(("precision", "recall", "coverage", "interpolation_precision"), "near 100 %"),
    **dict.fromkeys(("high_quality", "label_agreement", "code_accuracy", "class_accuracy"), "near 100 %"),
    **dict.fromkeys(("density", "class_diversity", "interpolation_jump", "singular_value_growth"), "1"),
    **dict.fromkeys(("modes_covered", "modes_captured"), "all"),
    **dict.fromkeys(("authenticity", "vendi", "ms_ssim", "support_size", "gan_train", "gan_test"), "as real images"),
    **dict.fromkeys(("gan_train_robust", "gan_test_robust"), "as real images"),
    "inception_score": "the number of classes",
    "ndb": "5 %",
    "train_preference": "50 %",
    "copied_share": "1 %",
    "copying_z": "about 0",
    "probe_accuracy": "above pixels",
    "code_correlation": "1 or -1",
    "discriminator_brier_score": "0.25",
    "minimax_loss": "-0.6931",
    "lipschitz_mean": "1 of a critic",
}
"""What a generator that draws as the data do would score, or the game at its equilibrium."""
WITHOUT = frozenset(
    {
        *(
            "fid_floor",
            "fid_real",
            "fid_unseen_floor",
            "label_agreement_shuffled",
            "support_size_real",
            "vendi_real",
            "ms_ssim_real",
        ),
        *("authenticity_held_out", "code_accuracy_random", "class_accuracy_pixels", "probe_accuracy_pixels"),
        *("probe_accuracy_untrained", "gan_train_real", "gan_train_robust_real", "jsd_own"),
        *("wasserstein_estimate_train", "lipschitz_constant", "lipschitz_p95", "r1", "r2", "overfitting_signs"),
        *("generator_gradient", "discriminator_gradient", "largest_singular_value", "path_length"),
        *("latent_sensitivity", "oscillation_p_value"),
    }
)
"""Controls, which others are held against, and sizes that have no best."""
BESIDE: Mapping[str, str] = {
    "fid": "fid_real",
    "fid_unseen": "fid_unseen_floor",
    "authenticity": "authenticity_held_out",
    "vendi": "vendi_real",
    "ms_ssim": "ms_ssim_real",
    "support_size": "support_size_real",
    "gan_train": "gan_train_real",
    "gan_test": "gan_train_real",
    "gan_train_robust": "gan_train_robust_real",
    "gan_test_robust": "gan_train_robust_real",
    "label_agreement": "label_agreement_shuffled",
    "code_accuracy": "code_accuracy_random",
    "class_accuracy": "class_accuracy_pixels",
    "probe_accuracy": "probe_accuracy_pixels",
}
"""The row that a score is held against."""
_CALLED = {
    "fid_unseen_floor": "a perfect generator",
    "label_agreement_shuffled": "by chance",
    "code_accuracy_random": "a random head",
    "class_accuracy_pixels": "pixels",
    "probe_accuracy_pixels": "pixels",
}
_TOLD = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?(?:e-?\d+)?) (for a perfect generator|of real images|by chance)")
_CLASSES = re.compile(r"\bof (\d+)(?: classes\b| modes\b|,)")


def at_best(score: Score, among: Iterable[Score] = ()) -> str:
    """`0; real images 1.9`: the best value, and what is reached by what stands beside it `among` the scores.

    Empty for what is no score of a generator, or has no best.
    """
    word = word_of(score.metric)
    if word not in BEST:
        return ""
    if word in ("modes_covered", "modes_captured"):
        return _all(score)
    told = _TOLD.search(score.protocol)
    if told:
        value = float(told[1])
        shown = format_rate(value) if is_rate(score.metric) else format_number(value)
        return shown if told[2] == "for a perfect generator" else f"{BEST[word]}; {told[2].removeprefix('of ')} {shown}"
    control = next((one for one in among if word_of(one.metric) == BESIDE.get(word) and _alike(one, score)), None)
    if control is None:
        return BEST[word]
    reached = f"{_CALLED.get(BESIDE[word], 'real images')} {format_value(control)}"
    return reached if BEST[word] == "as real images" else f"{BEST[word]}; {reached}"


def _all(score: Score) -> str:
    told = _CLASSES.search(score.protocol)
    return told[1] if told else "all"


def _alike(control: Score, score: Score) -> bool:
    return (control.subject, control.setting, control.data) == (score.subject, score.setting, score.data)
