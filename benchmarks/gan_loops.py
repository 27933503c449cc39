"""The training loops of two well-known GAN codes, around networks of ours: what ours is measured against.

Written from what those codes do, with their data pipeline and their reading of losses, as of pytorch/examples 77f55b9
and mimicry a7fda06.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms.functional import to_pil_image

from advgan.gan.state import State
from advgan.models.interface import Discriminator


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images in memory that pass through PIL one by one, as torchvision's CIFAR-10 and MNIST do."""

    def __init__(self, images: Tensor) -> None:
        size, channels = images.shape[2], images.shape[1]
        self.images = images.numpy()
        self.transform = transforms.Compose(
            [
                transforms.Resize(size),
                transforms.ToTensor(),
                transforms.Normalize((0.5,) * channels, (0.5,) * channels),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(to_pil_image(torch.from_numpy(self.images[index]))), 0


def batches(images: Tensor, batch_size: int, workers: int) -> Iterator[Tensor]:
    """Shuffled batches without end."""
    loader = DataLoader(Pictures(images), batch_size, shuffle=True, num_workers=workers, drop_last=True)
    while True:
        for batch, _ in loader:
            yield batch


def examples_dcgan(state: State, images: Tensor, *, batch_size: int, workers: int = 2) -> Iterator[None]:
    """pytorch/examples: sigmoid and cross-entropy of each batch apart, five values read and printed every step."""
    generator, discriminator, device = state.generator, state.discriminator, state.device
    players = [torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999)) for network in (discriminator, generator)]
    criterion = nn.BCELoss()
    real_target, fake_target = torch.ones(batch_size, device=device), torch.zeros(batch_size, device=device)
    for batch in batches(images, batch_size, workers):
        discriminator.zero_grad()  # type: ignore[attr-defined]
        output = discriminator(batch.to(device)).sigmoid()
        real_loss = criterion(output, real_target)
        real_loss.backward()
        read = [output.mean().item()]
        noise = torch.randn(batch_size, generator.space.dim, device=device)
        fake = generator(noise)
        output = discriminator(fake.detach()).sigmoid()
        fake_loss = criterion(output, fake_target)
        fake_loss.backward()
        read.append(output.mean().item())
        players[0].step()

        generator.zero_grad()  # type: ignore[attr-defined]
        output = discriminator(fake).sigmoid()
        loss = criterion(output, real_target)
        loss.backward()
        read += [output.mean().item(), (real_loss + fake_loss).item(), loss.item()]
        players[1].step()
        _print(read)
        yield


def mimicry_sngan(
    state: State, images: Tensor, *, batch_size: int, discriminator_steps: int = 5, workers: int = 2
) -> Iterator[None]:
    """mimicry: five discriminator steps, the generator's graph built in each and dropped, three values read a step."""
    generator, discriminator, device = state.generator, state.discriminator, state.device
    first, second = (torch.optim.Adam(network.parameters(), 2e-4, (0.0, 0.9)) for network in (discriminator, generator))
    stream = batches(images, batch_size, workers)
    while True:
        for turn in range(discriminator_steps):
            real = next(stream).to(device)
            first.zero_grad()
            logits = discriminator(real)
            fake = generator(torch.randn(batch_size, generator.space.dim, device=device)).detach()
            fake_logits = discriminator(fake)
            loss = F.relu(1 - logits).mean() + F.relu(1 + fake_logits).mean()
            loss.backward()
            first.step()
            read = [logits.sigmoid().mean().item(), fake_logits.sigmoid().mean().item(), loss.item()]
            if turn == discriminator_steps - 1:
                second.zero_grad()
                fake = generator(torch.randn(batch_size, generator.space.dim, device=device))
                loss = -_scored(discriminator, fake).mean()
                loss.backward()
                second.step()
                read.append(loss.item())
            _print(read)
        yield


def _scored(discriminator: Discriminator, fake: Tensor) -> Tensor:
    return discriminator(fake)


def _print(read: list[float]) -> None:
    """Format what is read, as both codes do; the bytes go nowhere."""
    " ".join(f"{value:.4f}" for value in read)
