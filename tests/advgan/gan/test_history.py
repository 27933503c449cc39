import torch
from torch import Tensor

from advgan.gan.history import distance_from_mean, remember


def test_the_distance_is_the_sum_of_squares_and_its_gradient_twice_the_difference() -> None:
    parameters = [torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([[3.0]], requires_grad=True)]
    distance = distance_from_mean(parameters, [torch.tensor([0.0, 4.0]), torch.tensor([[1.0]])])
    assert distance.item() == 1 + 4 + 4
    distance.backward()
    assert [parameter.grad.tolist() for parameter in parameters if parameter.grad is not None] == [[2, -4], [[4]]]


def test_the_means_are_those_of_all_values_so_far() -> None:
    mean = [torch.zeros(1)]
    for step, value in enumerate([2.0, 4.0, 9.0], start=1):
        remember(mean, [torch.tensor([value])], step=step)
    assert mean[0].item() == 5


def play(weight: float, steps: int = 3000) -> float:
    """Play the bilinear game min_x max_y xy from (1, 1) by simultaneous descent; return the last distance from 0."""
    players = [torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)]
    means: list[Tensor] = [player.detach().clone() for player in players]
    for step in range(1, steps + 1):
        first, second = players
        held = [distance_from_mean([player], [mean]) for player, mean in zip(players, means, strict=True)]
        (down,) = torch.autograd.grad(first * second.detach() + weight * held[0], first)
        (up,) = torch.autograd.grad(-first.detach() * second + weight * held[1], second)
        with torch.no_grad():
            first -= 0.05 * down
            second -= 0.05 * up
        remember(means, players, step=step)
    return float(torch.cat(players).detach().norm())


def test_historical_averaging_converges_where_plain_descent_circles_outwards() -> None:
    assert play(0.0) > 2**0.5
    assert play(0.1) < 0.01
