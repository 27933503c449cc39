"""One verdict on a generator, or on a set of images, in plain words: what its scores and its findings say together."""

import math
from collections.abc import Iterable, Mapping, Sequence

from evaluation.comparing import Difference
from evaluation.record.findings import Finding
from evaluation.record.scores import Score, word_of
from evaluation.report.text import format_value

FAILURES: Mapping[str, Mapping[str, str]] = {
    "realism": {
        "narrow-range": "they fill little of the range of brightness",
        "clipped-black": "much of them is clipped to black",
        "clipped-white": "much of them is clipped to white",
        "too-smooth": "they are blurred",
        "too-rough": "they have noise or a grid in them",
        "unrealistic-images": "many are unlike any real image",
        "disjoint-images": "a new discriminator tells them all from real ones",
    },
    "variety": {
        "latents-ignored": "they hardly depend on the latents",
        "repeated-generated": "many are the same",
        "repeats-itself": "many are the same",
        "few-distinct-images": "only few differ",
        "low-vendi-score": "they are much alike",
        "alike-within-class": "those of one class are alike",
        "low-diversity": "most real images have no like among them",
        "frozen-features": "part of what real images vary in never changes",
        "use-unvaried": "each class has few kinds of them",
    },
    "classes": {
        "missing-classes": "classes are missing",
        "under-represented-classes": "classes come too seldom",
        "over-represented-classes": "classes come too often",
        "uneven-bins": "parts of the data come too often or too seldom",
    },
    "labels": {
        "labels-ignored": "they are not of the classes that were asked for",
        "classes-exchanged": "some classes are exchanged for others",
        "use-wrong-labels": "they are not of the classes that were asked for",
    },
    "copies": {
        "copied-images": "some are copies of training images",
        "memorised-data": "some are copies of training images",
        "near-without-control": "they are copies of training images, or have no detail",
    },
    "use": {"use-less-robust": "a classifier learns less robustness from them"},
}
"""What each warning says of the images, by what it is about: of one theme a verdict names the first, the worst."""
VOID: Mapping[str, str] = {
    "broken-features": "what sees the images gives no numbers",
    "weak-judge": "the classifier that judges them knows too little of these data",
    "dead-features": "what sees the images does not know such images",
    "batch-dependent-features": "what is seen in an image depends on the images beside it",
}
"""Warnings that leave nothing to judge the images by."""
GAME = frozenset(
    {
        *("saturated-discriminator", "dead-discriminator", "overfitting-discriminator", "diverged-discriminator"),
        *("inverted-discriminator", "uncalibrated-discriminator", "critic-slope", "steep-discriminator"),
        *("held-out-taken-for-fakes", "vanishing-gradient", "broken-gradients", "large-duality-gap", "mode-hopping"),
        *("oscillating-game", "growing-spectrum", "broken-batch-norm", "lagging-average", "latent-jumps"),
        *("exploding-gradients", "frozen-generator", "diversity-collapse", "missing-modes"),
    }
)
"""Warnings of the players, which say nothing of the images that were scored."""
_PLAIN = ("pixels", "random")
"""What sees shapes and colours alone: it shows that images are bad, and never that they are good."""
_ASKED = {"fid": "distance", "precision": "precision", "recall": "recall"}
"""Scores that must all be there, and none of them low, before images pass for real ones."""
_LOW = 0.5
"""Precision, recall or coverage below which no other score makes up for it."""
_MOST = 2
"""Warnings that are named of those which say nothing of the images; the report has them all."""
_MOST_PAIRS = 3

Found = Mapping[str, Score]


def generator_verdict(scores: Iterable[Score], findings: Iterable[Finding], *, alarms: Iterable[Finding] = ()) -> str:
    """What scores and findings of one subject say together, in a few sentences; empty where there are neither.

    A warning outweighs every score, since grey blobs reach a high precision and noise falls into every class. Images
    pass only where distance, precision and recall agree, by features that know the data. `alarms` are of the training
    on the way, not of the images that were scored.
    """
    found: dict[str, Score] = {}
    for score in scores:
        found.setdefault(word_of(score.metric), score)
    warnings = {finding.code or finding.title: finding for finding in findings if finding.level == "warning"}
    on_the_way = {finding.code or finding.title: finding for finding in alarms if finding.level == "warning"}
    if not found and not warnings and not on_the_way:
        return ""
    codes = {*warnings} | {finding.code for finding in findings}
    doubts = [finding for code, finding in warnings.items() if code not in _JUDGED and code not in GAME]
    game = {**on_the_way, **{code: finding for code, finding in warnings.items() if code in GAME}}
    sentences = [_of_images(found, codes & {*warnings}, told="told-from-real" in codes, doubted=bool(doubts))]
    sentences += [_named("Read the numbers with care", doubts), _named("In training", list(game.values()))]
    return " ".join(sentence for sentence in sentences if sentence)


def joined_verdicts(verdicts: Mapping[str, str]) -> str:
    """Verdicts of several subjects, each after its name; of one alone without."""
    if len(verdicts) == 1:
        return next(iter(verdicts.values()))
    return " ".join(f"{subject}: {verdict}" for subject, verdict in verdicts.items() if verdict)


def nearest_verdict(found: Sequence[Difference]) -> str:
    """Which of a few subjects lies nearer to the real images, where chance does not explain it; empty without any."""
    pairs = [one for one in found if word_of(one.metric) == "fid"]
    settings = {one.setting for one in pairs}
    if not pairs or len(settings) > 1 or len(pairs) > _MOST_PAIRS:
        return ""
    return " ".join(_nearer(one) for one in pairs)


def _nearer(one: Difference) -> str:
    near, far = (one.first, one.second) if one.value < 0 else (one.second, one.first)
    if not one.is_significant:
        return f"Whether {near.subject} or {far.subject} lies nearer to the real images may be chance."
    return f"{near.subject} lies nearer to the real images than {far.subject}, by more than chance."


def _of_images(found: Found, warned: set[str], *, told: bool, doubted: bool) -> str:
    void = [text for code, text in VOID.items() if code in warned]
    if void:
        return f"No verdict on the images: {void[0]}."
    failures = [text for theme in FAILURES.values() for text in _first(theme, warned)]
    if failures:
        return f"The images fall short of the real ones: {', '.join(failures)}. {_distance(found)}".rstrip()
    if not found:
        return ""
    if told or _is_far(found):
        return f"The images are told from the real ones. {_distance(found)} {_coverage(found)}".rstrip()
    if reason := _too_little(found):
        return f"No verdict on the images: {reason}. {_distance(found)}".rstrip()
    low = [
        f"{found[word].metric} is only {format_value(found[word])}" for word in _shares(found) if _is_low(found[word])
    ]
    if low:
        return f"The images fall short of the real ones: {', '.join(low)}. {_distance(found)}".rstrip()
    but = "and the numbers are in doubt" if doubted else "which a look at them must confirm"
    return f"No score tells the images from real ones, {but}. {_distance(found)} {_coverage(found)}".rstrip()


def _first(theme: Mapping[str, str], warned: set[str]) -> list[str]:
    return [text for code, text in theme.items() if code in warned][:1]


def _too_little(found: Found) -> str:
    """Why scores without a warning are no praise; empty where there are enough of them, by features that know."""
    missing = [name for word, name in _ASKED.items() if word not in found]
    if missing:
        return f"that takes distance, precision and recall, and there is no {' and no '.join(missing)}"
    seer = found["fid"].setting
    if seer.startswith(_PLAIN):
        return f"features of {seer} show that images are bad, and cannot show that they are good"
    if _reference(found) is None:
        return "nothing says what real images would score"
    return ""


def _shares(found: Found) -> list[str]:
    return [word for word in ("precision", "recall", "coverage") if word in found]


def _is_low(score: Score) -> bool:
    return not score.value >= _LOW


def _reference(found: Found) -> tuple[Score, str] | None:
    """What the distance is held against: held-out real images, or the floor of its sample sizes."""
    if _unseen(found):
        return found["fid_unseen_floor"], "a perfect generator would score about"
    if "fid_real" in found:
        return found["fid_real"], "held-out real images score"
    return (found["fid_floor"], "a perfect generator would score about") if "fid_floor" in found else None


def _nearest(found: Found) -> Score | None:
    """The distance to quote: that to held-out images, where there are any."""
    return found.get("fid_unseen" if _unseen(found) else "fid")


def _unseen(found: Found) -> bool:
    return {"fid_unseen", "fid_unseen_floor"} <= {*found}


def _is_far(found: Found) -> bool:
    """Whether the whole interval of the distance is above twice what it is held against."""
    reference = _reference(found)
    distance = _nearest(found)
    if distance is None or reference is None:
        return False
    least = distance.value if math.isnan(distance.low) else distance.low
    return least > 2 * max(reference[0].value, 0)


def _distance(found: Found) -> str:
    distance, reference = _nearest(found), _reference(found)
    if distance is None:
        return ""
    said = f"{distance.metric} is {format_value(distance)}"
    return f"{said}; {reference[1]} {format_value(reference[0])}." if reference else f"{said}."


def _coverage(found: Found) -> str:
    """How much of the data is covered: said only of images that nothing speaks against."""
    modes, recall = found.get("modes_covered"), found.get("recall")
    parts = [f"classes drawn: {format_value(modes)}"] if modes else []
    parts += [f"real images with their like among them: {format_value(recall)}"] if recall else []
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _named(what: str, findings: Sequence[Finding]) -> str:
    titles = list(dict.fromkeys(finding.title.rstrip(".") for finding in findings))
    if not titles:
        return ""
    shown = "; ".join(title if title[1:2].isupper() else f"{title[:1].lower()}{title[1:]}" for title in titles[:_MOST])
    more = f"; and {len(titles) - _MOST} more in the report" if len(titles) > _MOST else ""
    return f"{what}: {shown}{more}."


_JUDGED = frozenset({*VOID, *(code for theme in FAILURES.values() for code in theme)})
