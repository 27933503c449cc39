"""The example code of a model card, which loads the exported file and runs it."""

import json
from pathlib import Path

from evaluation.jobs.export.networks import Exportable


def loading(found: Exportable, file: Path, repository: str) -> str:
    """How to load `file` from a repository of the hub and call it, as Markdown.

    What a generator is fed is drawn as in its training: latents of its kind, codes first, and classes independently, in
    the shares of its training data. With other latents or classes in turn the images would be other ones than those
    that were scored.
    """
    about, fetched = found.about, f'hf_hub_download("{repository}", "{file.name}")'
    if file.suffix == ".safetensors" and about["kind"] == "generator":
        code = (
            "from huggingface_hub import snapshot_download\n\n"
            "from advgan.sampling import load_exported, sample\n\n"
            f'generator = load_exported(snapshot_download("{repository}"))\n'
            f"{found.output} = sample(generator, 16, seed=0)  # float in [0, 1], NCHW\n"
        )
    elif file.suffix == ".safetensors":
        code = (
            "from huggingface_hub import hf_hub_download\nfrom safetensors.torch import load_file\n\n"
            f"weights = load_file({fetched})  # config.json says of what network\n"
        )
    elif file.suffix == ".pt2":
        call = f"network = torch.export.load({fetched}).module()\n{found.output} = network({', '.join(found.inputs)})\n"
        code = _imports(found) + _inputs(found, repository) + call
    elif file.suffix == ".onnx":
        feeds = ", ".join(f'"{name}": {name}.numpy()' for name in found.inputs)
        call = (
            f"session = onnxruntime.InferenceSession({fetched})\n{found.output} = session.run(None, {{{feeds}}})[0]\n"
        )
        code = _imports(found, "onnxruntime") + _inputs(found, repository) + call
    else:
        return f"Score it with torch-fidelity's own command:\n\n```console\n{about['fidelity']}\n```\n"
    latents = f"\nLatents: `{json.dumps(about['latents'])}`.\n" if about["kind"] == "generator" else ""
    return f"```python\n{code}```\n{latents}"


def _imports(found: Exportable, *others: str) -> str:
    reads_shares = bool(found.about.get("class_counts"))
    own = ["import json", "from pathlib import Path", ""] if reads_shares else []
    return "\n".join([*own, *(f"import {name}" for name in (*others, "torch")), _HUB, "", ""])


_HUB = "from huggingface_hub import hf_hub_download"


def _inputs(found: Exportable, repository: str) -> str:
    """Code that draws a batch of 16 inputs: images, or latents and, if conditional, labels."""
    about = found.about
    if about["kind"] != "generator":
        return f"images = torch.rand(16, {about['channels']}, {about['size']}, {about['size']})\n"
    labels = _labels(found, repository) if "labels" in found.inputs else ""
    return f"latents = {_latents(**about['latents'])}\n{labels}"


def _labels(found: Exportable, repository: str) -> str:
    drawn = "labels = torch.multinomial(shares, 16, replacement=True)\n"
    if not found.about["class_counts"]:
        return f"shares = torch.ones({len(found.about['classes'])})  # those of its training data are unknown\n{drawn}"
    read = f'json.loads(Path(hf_hub_download("{repository}", "config.json")).read_text())'
    return f'about = {read}\nshares = torch.tensor(about["class_counts"]).float()  # of its training data\n{drawn}'


def _latents(noise_dim: int, kind: str, categorical: int, continuous: int) -> str:
    normal = f"torch.randn(16, {noise_dim})"
    noise = {
        "normal": normal,
        "uniform": f"torch.rand(16, {noise_dim}) * 2 - 1",
        "sphere": f"torch.nn.functional.normalize({normal}) * {noise_dim} ** 0.5",
    }[kind]
    codes = [f"torch.eye({categorical})[torch.randint({categorical}, (16,))]"] if categorical else []
    codes += [f"torch.rand(16, {continuous}) * 2 - 1"] if continuous else []
    return f"torch.cat([{', '.join([*codes, noise])}], dim=1)" if codes else noise
