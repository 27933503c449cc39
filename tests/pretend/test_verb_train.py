"""`advgan train` on the device, with every preset, each with its evaluation."""

from collections.abc import Callable

import pytest

from advgan.config.presets import preset_names
from measured.verbs import train_options
from pretended.verb import Ended

Advgan = Callable[..., Ended]


@pytest.mark.parametrize("name", preset_names("train"))
def test_a_preset(name: str, advgan: Advgan, shop: object) -> None:
    ended = advgan(*train_options(name), "-vv")
    assert ended.code == 0, ended.words
    assert len(ended.scores) > 5
    assert not ended.failures
