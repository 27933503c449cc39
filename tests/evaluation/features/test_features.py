import pytest
import torch
from torch import nn

from attacks import Classifier
from attacks.random import uniform
from evaluation.features.features import Extractor, Features, classifier_extractor, extract


def images(count=10, channels=1, seed=0):
    return uniform(seed, torch.arange(count), (channels, 4, 4))


class Small(nn.Module):
    """Two linear layers; the last registered is not the last that runs."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(5, 3)
        self.body = nn.Linear(16, 5)

    def forward(self, images):
        return self.head(self.body(images.flatten(1)).relu())


def test_one_pass_gives_features_and_probabilities():
    torch.manual_seed(0)
    network = Small()
    classifier = Classifier(network, name="small")
    pixels = (images() * 255).round() / 255
    found = extract(classifier_extractor(classifier), pixels, batch_size=3)
    hidden = network.body(pixels.flatten(1)).relu()
    assert classifier.passes.forwards == 10
    assert torch.allclose(found.values, hidden, atol=1e-6)
    assert torch.allclose(found.probabilities, network.head(hidden).double().softmax(dim=1), atol=1e-6)
    assert torch.equal(found.classes, network.head(hidden).argmax(dim=1))
    assert (found.extractor, len(found), found.is_inception) == ("small", 10, False)
    assert found.probabilities.dtype == torch.float64


def test_the_classifiers_own_normalisation_is_in_the_features():
    network = Small()
    plain, normalised = Classifier(network), Classifier(network, mean=(0.5,), std=(0.25,))
    pixels = torch.tensor([0, 1.0]).reshape(2, 1, 1, 1).expand(2, 1, 4, 4)
    assert torch.equal(
        extract(classifier_extractor(normalised), pixels).values,
        network.body(((pixels - 0.5) / 0.25).flatten(1)).relu(),
    )
    assert not torch.equal(
        extract(classifier_extractor(plain), pixels).values, extract(classifier_extractor(normalised), pixels).values
    )


def test_batches_may_stream_and_their_size_does_not_matter():
    extractor = classifier_extractor(Classifier(Small()))
    whole = extract(extractor, images())
    streamed = extract(extractor, (batch for batch in images().split(4)))
    assert torch.allclose(whole.values, streamed.values, atol=1e-6)


def test_images_are_rounded_to_the_levels_of_a_file():
    seen = []

    def look(batch):
        seen.append(batch)
        return batch.flatten(1), batch.flatten(1)[:, :2]

    extract(Extractor("spy", "0", look), torch.full((1, 1, 2, 2), 0.3))
    assert torch.equal(seen[0], torch.full((1, 1, 2, 2), 76.0) / 255)  # 76.5 rounds to even


def test_no_hook_stays_behind_and_the_mode_is_kept():
    network = Small().train()
    extract(classifier_extractor(Classifier(network)), images())
    assert network.training
    assert not network.head._forward_hooks


def test_the_digest_names_the_weights():
    torch.manual_seed(0)
    first, second = Small(), Small()
    assert classifier_extractor(Classifier(first)).digest != classifier_extractor(Classifier(second)).digest
    assert classifier_extractor(Classifier(first)).digest == classifier_extractor(Classifier(first)).digest
    assert classifier_extractor(Classifier(first), name="judge", digest="abc").digest == "abc"
    assert "judge abc" in classifier_extractor(Classifier(first), name="judge", digest="abc").protocol


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 3, 4)

    def forward(self, images):
        return self.layer(images).flatten(1)


def test_a_network_without_a_linear_layer_is_refused_at_once():
    with pytest.raises(ValueError, match=r"does not end in an nn\.Linear.*use Inception"):
        classifier_extractor(Classifier(Convolutional()))


def test_a_network_that_goes_on_after_its_linear_layer_is_refused():
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(16, 16), nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 3, 4), nn.Flatten()
    )
    with pytest.raises(ValueError, match=r"does not end in an nn\.Linear"):
        extract(classifier_extractor(Classifier(network)), images())


def test_the_name_inception_is_not_given_to_a_classifier():
    with pytest.raises(ValueError, match="kept for the Inception-v3"):
        classifier_extractor(Classifier(Small()), name="inception")
    with pytest.raises(ValueError, match="kept for the Inception-v3"):
        classifier_extractor(Classifier(Small()), name="inception@clean")


def test_only_inception_under_any_protocol_is_inception():
    def seen(name):
        return Features(torch.zeros(2, 3), torch.ones(2, 1), name, "digest")

    assert [seen(name).is_inception for name in ("inception", "inception@clean", "inceptions", "x@inception")] == [
        True,
        True,
        False,
        False,
    ]
    assert not seen("pixels").has_classes


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (images() * 2 - 1, "from_signed"),
        (images() * 255, r"must be in \[0, 1\].*divide by 255"),
        ((images() * 255).to(torch.uint8), "must be float.*to_unit"),
        (images()[0], "must be float"),
        (images() * torch.nan, r"got nan"),
        (images()[:0], "no images"),
        ([], "no images"),
    ],
)
def test_what_is_not_images_is_refused(pixels, message):
    with pytest.raises(ValueError, match=message):
        extract(classifier_extractor(Classifier(Small())), pixels)
