"""The top of an attack's report: the worst case first, then the strongest attacks, struck where warnings speak."""

from dataclasses import replace

from evaluation.jobs.attack.summary import headline, marked, verdict
from evaluation.record.findings import Finding
from evaluation.record.scores import Score

SCORE = Score(subject="m", data="d", setting="clean", metric="clean_accuracy", value=0.97, samples=100, protocol="p")


def scores(**robust: float) -> list[Score]:
    found = [SCORE]
    for setting, value in {**robust, "worst-case": min(robust.values())}.items():
        found.append(replace(SCORE, setting=setting, metric="robust_accuracy", value=value))
    return found


def warning(title: str, code: str = "a-code") -> Finding:
    return Finding("warning", title, "seen", "do", code=code)


def test_the_strongest_attacks_have_the_places_beside_the_worst_case():
    found = scores(uniform=0.95, gaussian=0.94, fgsm=0.6, bim=0.3, mifgsm=0.4, pgd=0.3)
    assert [each.label for each in headline(found)[1:]] == [
        "under worst-case",
        "under bim",
        "under mifgsm",
        "under pgd",
    ]


def test_without_a_warning_nothing_is_struck():
    found = scores(fgsm=0.6, pgd=0.3)
    explains = Finding("info", "Few images", "seen", "do", code="few-images")
    unmade = warning("The curve over eps: not made", "not-made")
    for findings in ([], [explains], [unmade]):
        assert not any(each.struck for each in headline(found, findings))
        assert marked(found, findings) == found
        assert verdict(found, findings) == "clean accuracy 97.0 %, n=100; under worst-case: 30.0 %, n=100"


def test_a_warning_strikes_every_number_under_attack_and_no_other():
    found, findings = scores(fgsm=0.6, pgd=0.3), [warning("Gradients are zero", "zero-gradients"), warning("More")]
    clean, *robust = headline(found, findings)
    assert clean.struck == ""
    assert {each.struck for each in robust} == {"Gradients are zero, and 1 more warning"}
    assert "; the robust accuracy is struck (Gradients are zero, and 1 more warning), found" in verdict(found, findings)
    first, *under = marked(found, findings)
    assert first == SCORE
    assert all(score.protocol == "p; struck, as warnings speak against it: zero-gradients, a-code" for score in under)
