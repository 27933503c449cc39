"""Which attacks the curve over eps shows."""

from advgan.config.presets import preset_file
from advgan.config.resolve import resolve
from evaluation.jobs.attack.config import AttackConfig
from evaluation.jobs.attack.panels import _strongest


def shown(left: dict[str, int], **options: object) -> list[str]:
    config = resolve(AttackConfig, overrides=options)
    return [trial.name for trial in _strongest(config.trials(1), left)]


def test_the_first_suite_shows_its_strongest_attack_beside_noise_and_a_single_step():
    config = resolve(AttackConfig, file=preset_file("attack", "first"))
    undefended = dict.fromkeys(config.attacks, 0) | {"uniform": 90, "gaussian": 91, "fgsm": 12}
    assert [trial.name for trial in _strongest(config.trials(1), undefended)] == ["uniform", "fgsm", "mifgsm", "pgd"]
    robust = {"uniform": 95, "gaussian": 94, "fgsm": 69, "bim": 63, "mifgsm": 66, "pgd": 62}
    assert [trial.name for trial in _strongest(config.trials(1), robust)] == ["gaussian", "fgsm", "bim", "pgd"]


def test_few_attacks_are_all_shown_in_their_order():
    assert shown({"uniform": 3, "fgsm": 2, "pgd": 1}) == ["uniform", "fgsm", "pgd"]
