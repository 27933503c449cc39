"""Upload an exported network to the Hugging Face hub with a model card of its scores; only if a user asks for it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from evaluation.jobs.export.networks import Exportable
from evaluation.jobs.export.paths import without_paths
from evaluation.jobs.export.snippet import loading
from evaluation.record.scores import Score
from evaluation.report.results import FILE, Results
from evaluation.report.text import format_interval, format_value

CARD = "README.md"
TASKS = {"generator": "unconditional-image-generation", "classifier": "image-classification"}


def scores_of(checkpoint: Path) -> tuple[Score, ...]:
    """The scores of the run that a checkpoint lies in; none where it lies elsewhere or was not scored."""
    folder = checkpoint.parent.parent
    return Results.load(folder).scores if (folder / FILE).is_file() else ()


def model_card(found: Exportable, file: Path, scores: Sequence[Score], *, repository: str, picture: str = "") -> str:
    """A README.md with data, recipe, scores with their intervals, and how to load `file`."""
    about = found.about
    kind = about["kind"]
    facts = [
        ("data", f"{about['data']} (hash {about['data_digest']})"),
        ("images", f"{about['size']}x{about['size']}, {about['channels']} channel(s)"),
        *([("classes", ", ".join(about["classes"]))] if about["classes"] else []),
        *found.recipe,
        ("weights", f"hash {about['digest']}"),
    ]
    tag = "gan" if kind == "generator" else kind
    head = f"---\nlibrary_name: advgan\npipeline_tag: {TASKS[kind]}\ntags:\n- {tag}\n---\n"
    parts = [
        head,
        f"# {repository.split('/')[-1]}\n",
        f"A {kind} of {about['data']}, trained and exported with `advgan`.\n",
        *([f"![samples]({picture})\n"] if picture else []),
        _table(("", ""), facts),
        "## Scores\n",
        *_scores(scores),
        "## How to load\n",
        loading(found, file, repository),
    ]
    text: str = without_paths("\n".join(parts))
    return text


def push(folder: Path, files: Sequence[str], *, repository: str, private: bool) -> str:
    """Upload the named files of a folder as they are, and give the address.

    Raises ValueError, saying where the files are and what to type, where the hub cannot be reached or refuses.
    """
    import huggingface_hub

    api = huggingface_hub.HfApi()
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            allow_patterns=list(files),
            commit_message="Upload a network exported by advgan",
        )
    except Exception as error:  # the client raises errors of whatever speaks HTTP for it
        reason = (str(error).strip().splitlines() or [""])[0]
        wanted = " ".join(f"--include {name}" for name in files)
        raise ValueError(
            f"--push-to-hub {repository}: nothing was pushed ({type(error).__name__}: {reason}); the files are in "
            f"{folder}: check the network and `hf auth login`, then type: hf upload {repository} {folder} . {wanted}"
        ) from None
    return f"https://huggingface.co/{repository}"


def _scores(scores: Sequence[Score]) -> Iterator[str]:
    if not scores:
        yield "None: the checkpoint lies in no scored run.\n"
        return
    rows = [
        (f"`{score.metric}`", format_value(score), format_interval(score), f"{score.samples:,}", score.setting)
        for score in scores
    ]
    yield "The intervals are of 95 %.\n"
    yield _table(("metric", "value", "interval", "n", "setting"), rows)
    yield f"Measured on {scores[0].data}, seed {scores[0].seed}.\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
