import os
import pickle
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from torch import nn

from advgan.ranges import to_bytes, to_unit
from advgan.storage.weights import find_weights
from attacks.random import seeded, uniform
from evaluation.extractors import inception
from evaluation.extractors.inception import FILE, WEIGHTS, inception_extractor
from evaluation.features.extractor_findings import batch_dependence, constant_columns
from evaluation.features.features import Features, check_same_extractor, extract
from evaluation.features.protocols import PROTOCOLS
from evaluation.fidelity.frechet import frechet_distance
from evaluation.fidelity.inception_score import inception_score
from evaluation.protocol_scores import protocol_scores


def digest(path):
    return sha256(path.read_bytes()).hexdigest()


def known(path):
    """Inception's weights, if they were this file."""
    return replace(WEIGHTS, sha256=digest(path))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of the right shapes, made here; the real ones are 95 MB that tests do not download.

    18 of the 2048 features are alive, so that a few dozen images suffice for a covariance without null directions:
    torch-fidelity's eigenvalues are 1e-5 off where there are some.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    folder = tmp_path_factory.mktemp("weights")
    path = folder / "made-up.pth"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        torch.save({}, folder / "empty.pth")
        with seeded(0):
            network = FeatureExtractorInceptionV3("made", ["2048"], feature_extractor_weights_path=folder / "empty.pth")
            for module in network.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight)
            nn.init.normal_(network.fc.weight)
    for name in ("branch1x1", "branch3x3_2a", "branch3x3_2b", "branch3x3dbl_3a", "branch3x3dbl_3b", "branch_pool"):
        getattr(network.Mixed_7c, name).bn.weight[3:] = 0
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(autouse=True)
def empty_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv(WEIGHTS.variable, raising=False)
    return tmp_path


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(inception, "WEIGHTS", replace(WEIGHTS, url="http://127.0.0.1:9/" + FILE))


def grey(count=2):
    return uniform(0, torch.arange(count), (1, 8, 8))


def test_features_and_logits_come_out_of_one_pass(weights):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    extractor = inception_extractor(weights, sha256=digest(weights))
    found = extract(extractor, grey())
    assert found.values.shape == (2, 2048)
    assert found.probabilities.shape == (2, 1008)
    assert found.is_inception
    assert extractor.digest == digest(weights)[:12]

    peer = FeatureExtractorInceptionV3("peer", ["2048", "logits_unbiased"], feature_extractor_weights_path=weights)
    pool, logits = peer(to_bytes(grey()).repeat(1, 3, 1, 1))
    assert torch.equal(found.values, pool)
    assert torch.allclose(found.probabilities, logits.double().softmax(dim=1))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_each_protocol_feeds_the_network_its_own_way(monkeypatch, name):
    monkeypatch.setattr(inception, "_network", lambda *_: (nn.AvgPool2d(299), torch.ones(5, 3)))
    extractor, protocol = inception_extractor(protocol=name), PROTOCOLS[name]
    assert extractor.name == ("inception" if name == "torch-fidelity" else f"inception@{name}")
    assert protocol.words in extractor.protocol
    found = extract(extractor, grey())
    assert found.is_inception
    expected = protocol.prepare(to_bytes(grey()).repeat(1, 3, 1, 1)).mean(dim=(2, 3))
    torch.testing.assert_close(found.values, expected)


def test_the_network_takes_what_a_protocol_prepares(weights):
    """It is cut out of torch-fidelity's class, whose own pass must give the same on images of 299 pixels."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    images = uniform(3, torch.arange(1), (3, 299, 299))
    found = extract(inception_extractor(weights, protocol="pytorch-fid", sha256=digest(weights)), images)
    peer = FeatureExtractorInceptionV3("peer", ["2048"], feature_extractor_weights_path=weights)
    torch.testing.assert_close(found.values, peer(to_bytes(images))[0], rtol=0.05, atol=0.05)  # 128 and 127.5 are 0


def test_results_of_two_protocols_are_not_compared():
    def seen(name):
        return Features(torch.rand(9, 4), torch.rand(9, 3), name, "digest")

    check_same_extractor(seen("inception@clean"), seen("inception@clean"))
    for check in (check_same_extractor, protocol_scores):
        with pytest.raises(ValueError, match=r"seen by inception digest, fake ones by inception@clean"):
            check(seen("inception"), seen("inception@clean"))
    assert seen("inception@clean").is_inception


@pytest.mark.slow
def test_features_do_not_depend_on_the_batch_size(weights):
    """To 1e-5 of their size in float32, and to 1e-13 in float64, which is what it says."""
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-13)):
        extractor = inception_extractor(weights, sha256=digest(weights), dtype=dtype)
        assert batch_dependence(extractor, grey(2)) < tolerance
        assert extract(extractor, grey(1)).values.dtype == dtype


def test_an_unknown_protocol_is_refused_before_anything_is_read():
    with pytest.raises(ValueError, match="no protocol 'tf': choose torch-fidelity, pytorch-fid, clean, stylegan3"):
        inception_extractor(protocol="tf")


@pytest.mark.slow
def test_scores_are_torch_fidelitys_on_the_same_images_end_to_end(weights):
    """FID, IS, KID, precision and recall to 1e-6; our own FID too, whose mean is float64, and KID over all pairs."""
    from torch.utils.data import Dataset
    from torch_fidelity import calculate_metrics

    class Images(Dataset):
        def __init__(self, images):
            self.images = images

        def __len__(self):
            return len(self.images)

        def __getitem__(self, index):
            return self.images[index]

    blocks = uniform(1, torch.arange(54), (3, 4, 4)).repeat_interleave(6, 2).repeat_interleave(6, 3)
    images = to_bytes((blocks + 0.3 * uniform(2, torch.arange(54), (3, 24, 24))) / 1.3)
    real, fake = images[:26], images[26:] // 2
    theirs = calculate_metrics(
        input1=Images(fake),
        input2=Images(real),
        fid=True,
        isc=True,
        kid=True,
        kid_subset_size=20,
        prc=True,
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(weights),
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
        batch_size=9,
    )
    extractor = inception_extractor(weights, sha256=digest(weights))
    seen_real, seen_fake = (extract(extractor, to_unit(each), batch_size=7) for each in (real, fake))
    with pytest.MonkeyPatch.context() as patch:
        rules = PROTOCOLS["torch-fidelity"]
        patch.setitem(PROTOCOLS, "torch-fidelity", replace(rules, kernel=replace(rules.kernel, size=20)))
        ours = protocol_scores(seen_real, seen_fake)
    assert ours == pytest.approx(theirs, rel=1e-6)
    assert int(constant_columns(seen_real.values).sum()) >= 2048 - 18
    assert frechet_distance(seen_real.values, seen_fake.values) == pytest.approx(
        theirs["frechet_inception_distance"], rel=1e-6
    )
    assert inception_score(seen_fake.probabilities).value == pytest.approx(theirs["inception_score_mean"], rel=1e-6)


def test_other_weights_are_refused_by_their_checksum(weights):
    with pytest.raises(ValueError, match=f"not the file with sha256 {WEIGHTS.sha256[:8]}") as caught:
        inception_extractor(weights)
    assert_one_line_with_a_way_out(caught)


def test_a_hostile_pickle_with_the_right_checksum_is_not_run(tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    path = tmp_path / "hostile.pth"
    torch.save({"weight": Hostile()}, path)
    with pytest.raises(ValueError, match="no plain weights"):
        inception_extractor(path, sha256=digest(path))
    path.write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(ValueError, match="no plain weights"):
        inception_extractor(path, sha256=digest(path))
    assert not (tmp_path / "owned").exists()


def test_weights_of_another_network_are_named(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"layer.weight": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match="weights of another network") as caught:
        inception_extractor(path, sha256=digest(path))
    assert_one_line_with_a_way_out(caught)


def test_a_missing_path_is_named():
    with pytest.raises(ValueError, match="no Inception v3 weights at"):
        find_weights(WEIGHTS, Path("nowhere.pth"))


@pytest.mark.parametrize(
    "place",
    [
        "cache/inception-v3/weights-inception-2015-12-05-6726825d.pth",
        "torch/hub/checkpoints/weights-inception-2015-12-05-6726825d.pth",
        "torch/hub/checkpoints/pt_inception-2015-12-05-6726825d.pth",
    ],
)
def test_weights_that_are_here_already_are_found(tmp_path, place):
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    assert find_weights(known(path)) == path


def test_offline_the_error_says_what_to_put_where_and_what_else_to_use(tmp_path, offline):
    with pytest.raises(ValueError, match="cannot be downloaded") as caught:
        inception_extractor()
    assert_one_line_with_a_way_out(caught)
    assert str(tmp_path / "cache" / "inception-v3") in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_the_environment_may_name_the_file(tmp_path, monkeypatch):
    path = tmp_path / "mine.pth"
    path.write_bytes(b"weights")
    monkeypatch.setenv("ADVGAN_INCEPTION_WEIGHTS", str(path))
    assert find_weights(known(path)) == path
    with pytest.raises(ValueError, match=r"mine\.pth is not the file with sha256 6726825d") as caught:
        inception_extractor()
    assert_one_line_with_a_way_out(caught)
    assert "ADVGAN_INCEPTION_WEIGHTS" in str(caught.value)


def test_a_path_goes_before_the_environment(tmp_path, monkeypatch):
    path = tmp_path / "mine.pth"
    path.write_bytes(b"weights")
    monkeypatch.setenv("ADVGAN_INCEPTION_WEIGHTS", "nowhere.pth")
    assert find_weights(known(path), path) == path


def test_a_download_is_checked_and_kept(tmp_path):
    source = tmp_path / "served.pth"
    source.write_bytes(b"weights")
    wanted = replace(known(source), url=source.as_uri())
    found = find_weights(wanted)
    assert found == tmp_path / "cache" / "inception-v3" / FILE
    source.unlink()
    assert find_weights(wanted) == found


def test_a_broken_download_leaves_nothing_behind(tmp_path):
    source = tmp_path / "served.pth"
    source.write_bytes(b"half of the wei")
    with pytest.raises(ValueError, match="its sha256 differs"):
        find_weights(replace(WEIGHTS, url=source.as_uri()))
    assert not (tmp_path / "cache").exists()


def test_a_damaged_file_in_the_cache_is_named(tmp_path):
    path = tmp_path / "cache" / "inception-v3" / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half of the wei")
    with pytest.raises(ValueError, match="is damaged: delete it"):
        inception_extractor()


def assert_one_line_with_a_way_out(caught):
    message = str(caught.value)
    assert "\n" not in message
    assert FILE in message
    assert "classifier" in message
