import os
import pickle
from hashlib import sha256

import pytest
import torch

from advgan.ranges import to_bytes
from attacks.random import seeded, uniform
from evaluation import inception
from evaluation.features import extract
from evaluation.generators import metric_name
from evaluation.inception import FILE, SHA256, find_weights, inception_extractor


def digest(path):
    return sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of the right shapes, made here; the real ones are 95 MB that tests do not download."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    folder = tmp_path_factory.mktemp("weights")
    path = folder / "made-up.pth"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        torch.save({}, folder / "empty.pth")
        with seeded(0):
            network = FeatureExtractorInceptionV3("made", ["2048"], feature_extractor_weights_path=folder / "empty.pth")
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(autouse=True)
def empty_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(inception, "URL", "http://127.0.0.1:9/" + FILE)


def grey(count=2):
    return uniform(0, torch.arange(count), (1, 8, 8))


def test_features_and_logits_come_out_of_one_pass(weights):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    extractor = inception_extractor(weights, sha256=digest(weights))
    found = extract(extractor, grey())
    assert found.values.shape == (2, 2048)
    assert found.probabilities.shape == (2, 1008)
    assert found.is_inception
    assert metric_name("fid_floor", found) == "fid_floor"
    assert extractor.digest == digest(weights)[:12]

    peer = FeatureExtractorInceptionV3("peer", ["2048", "logits_unbiased"], feature_extractor_weights_path=weights)
    pool, logits = peer(to_bytes(grey()).repeat(1, 3, 1, 1))
    assert torch.equal(found.values, pool)
    assert torch.allclose(found.probabilities, logits.double().softmax(dim=1))


def test_other_weights_are_refused_by_their_checksum(weights):
    with pytest.raises(ValueError, match=f"not the file with sha256 {SHA256[:8]}") as caught:
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
    with pytest.raises(ValueError, match="no Inception weights at"):
        find_weights(inception.Path("nowhere.pth"))


@pytest.mark.parametrize(
    "place",
    [
        "cache/inception-v3/weights-inception-2015-12-05-6726825d.pth",
        "torch/hub/checkpoints/weights-inception-2015-12-05-6726825d.pth",
        "torch/hub/checkpoints/pt_inception-2015-12-05-6726825d.pth",
    ],
)
def test_weights_that_are_here_already_are_found(tmp_path, offline, place):
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    assert find_weights(sha256=digest(path)) == path


def test_offline_the_error_says_what_to_put_where_and_what_else_to_use(tmp_path, offline):
    with pytest.raises(ValueError, match="cannot be downloaded") as caught:
        find_weights()
    assert_one_line_with_a_way_out(caught)
    assert str(tmp_path / "cache" / "inception-v3") in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_a_download_is_checked_and_kept(tmp_path, monkeypatch):
    source = tmp_path / "served.pth"
    source.write_bytes(b"weights")
    monkeypatch.setattr(inception, "URL", source.as_uri())
    found = find_weights(sha256=digest(source))
    assert found == tmp_path / "cache" / "inception-v3" / FILE
    source.unlink()
    assert find_weights(sha256=digest(found)) == found


def test_a_broken_download_leaves_nothing_behind(tmp_path, monkeypatch):
    source = tmp_path / "served.pth"
    source.write_bytes(b"half of the wei")
    monkeypatch.setattr(inception, "URL", source.as_uri())
    with pytest.raises(ValueError, match="its sha256 differs"):
        find_weights(sha256=sha256(b"weights").hexdigest())
    assert not (tmp_path / "cache").exists()


def test_a_damaged_file_in_the_cache_is_named(tmp_path, offline):
    path = tmp_path / "cache" / "inception-v3" / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half of the wei")
    with pytest.raises(ValueError, match="is damaged: delete it"):
        find_weights()


def assert_one_line_with_a_way_out(caught):
    message = str(caught.value)
    assert "\n" not in message
    assert FILE in message
    assert "classifier" in message
