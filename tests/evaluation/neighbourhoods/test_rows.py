import pytest
import torch

from attacks.random import normal
from evaluation.features.features import Features
from evaluation.features.seen import Sample, Seen
from evaluation.neighbourhoods.findings import neighbour_findings
from evaluation.neighbourhoods.precision_recall import null_coverage, precision_recall
from evaluation.neighbourhoods.rows import NEIGHBOUR_METRICS, neighbour_rows


def gaussian(seed, count, dim=4):
    return normal(seed, torch.arange(count), (dim,), dtype=torch.float64)


def seen(real, fake):
    samples = [Sample(features=Features(rows, rows.new_ones(len(rows), 1), "probe", "0")) for rows in (real, fake)]
    return Seen(real=samples[0], fake=samples[1], seed=3)


def codes(real, fake):
    both = seen(real, fake)
    return [finding.code for finding in neighbour_findings(both, neighbour_rows(both, NEIGHBOUR_METRICS))]


def test_rows_are_the_four_scores_with_how_they_were_made():
    real, fake = gaussian(0, 90), gaussian(1, 70)
    rows = neighbour_rows(seen(real, fake), NEIGHBOUR_METRICS)
    assert {metric: estimate for metric, estimate, *_ in rows} == precision_recall(real, fake, seed=3)
    assert all(samples == 70 for _, _, samples, _ in rows)
    assert f"{null_coverage(90, 70):.4f} for a perfect generator" in rows[3][3]


def test_only_what_is_wanted_is_given():
    both = seen(gaussian(0, 60), gaussian(1, 60))
    assert [row[0] for row in neighbour_rows(both, {"recall", "fid"})] == ["recall"]
    assert neighbour_rows(both, {"fid"}) == []
    assert neighbour_findings(both, []) == []


def test_too_few_are_refused_only_where_they_are_needed():
    both = seen(gaussian(0, 5), gaussian(1, 50))
    assert neighbour_rows(both, {"fid"}) == []
    with pytest.raises(ValueError, match="at least 6 rows"):
        neighbour_rows(both, {"recall"})


def test_healthy_sets_get_no_findings():
    assert codes(gaussian(0, 300), gaussian(1, 300)) == []


def test_repeated_reals_are_named():
    rows = gaussian(0, 300)
    assert codes(torch.cat([rows[:297], rows[:3]]), gaussian(1, 300)) == ["repeated-reals"]  # 2 % of them
    assert codes(torch.cat([rows[:299], rows[:1]]), gaussian(1, 300)) == []


def test_few_images_are_named():
    assert codes(gaussian(0, 49), gaussian(1, 49))[0] == "few-for-neighbours"
    assert codes(gaussian(0, 300), gaussian(1, 201)) == []


def test_a_score_that_outliers_decide_is_named():
    """Fakes in the tail of the reals are near to whole sets or to nothing, as a single far real image happens to be."""
    found = [codes(gaussian(2 * trial, 200, 2), gaussian(2 * trial + 1, 200, 2) + 2.2) for trial in range(8)]
    assert sum("few-images-decide" in trial for trial in found) >= 4
