"""Adversarial images in the folder of a run."""

from collections.abc import Callable
from pathlib import Path

Advgan = Callable[..., tuple[int, str, str]]
ATTACK = ["attack", "--model", "mlp", "--attack", "uniform", "--eps", "0.1", "-n", "20", "--save", "npz", "-o", "run"]


def test_images_of_an_earlier_run_are_not_taken_for_those_of_a_new_one(advgan: Advgan) -> None:
    """They were: what was there already stayed, under the name of the new run."""
    earlier = Path("run/adversarial/uniform-linf-0.1.npz")
    earlier.parent.mkdir(parents=True)
    earlier.write_bytes(b"of another model")
    code, _, err = advgan(*ATTACK, "--exist-ok", "-q")
    assert (code, err.count("\n")) == (2, 1)
    assert "run/adversarial holds images of an earlier run: delete them, or choose another folder with --out" in err
    assert [path.name for path in Path("run").iterdir()] == ["adversarial"]
