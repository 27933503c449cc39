"""The commands of the trials of reliability: quick ones, on digits, that cover the verbs and the files they read."""

PLAIN = "--set curve_points=0 --set probes=0"
COMMANDS = {
    "fit": "fit --data images --model mlp --epochs 3 --out fit",
    "attack": f"attack --data images --model fit --attack fgsm,pgd --steps 3 -n 40 --save npz {PLAIN} --out attack",
    "train": "train --data images --family mlp --steps 12 -n 20 --features pixels --out train",
    "sample": "sample --ckpt train -n 20 --out sample",
    "eval": "eval train --data images --features pixels -n 40 --out eval",
    "augment": "augment --data images --model fit --attack fgsm --num-adversarial 30 --out augment",
    "export": "export --ckpt train --out export",
    "other": f"attack --data images --model fit --attack fgsm -n 40 {PLAIN} --out other",
}
RESUMED = ("fit", "attack", "train")
COMPARED = {".safetensors", ".csv", ".npz", ".png", ".jsonl", ".html"}
"""Suffixes of files that are a function of the command alone."""
READERS = {
    "classifier": ("fit/checkpoints/*.safetensors", COMMANDS["other"].replace("other", "again"), "again"),
    "generator": ("train/checkpoints/*.safetensors", "sample --ckpt train -n 20 --out again", "again"),
    "searches": ("attack/searches/*", "attack --resume attack", "attack"),
    "log": ("fit/log.jsonl", "fit --resume fit", "fit"),
    "configuration": ("fit/*.yaml", "fit --resume fit", "fit"),
    "environment": ("fit/env.json", "fit --resume fit", "fit"),
    "results": ("attack/results.json", "report attack other -o again.html", "again.html"),
    "answers": ("attack/answers.csv", "report attack other -o again.html", "again.html"),
    "cache": ("cache/**/*", COMMANDS["other"].replace("other", "again"), "again"),
    "arrays": ("sample/*.npz", "eval sample/ARRAYS --data images --features pixels -n 20 --out again", "again"),
    "set": (
        "augment/**/*.*[gv]",
        "fit --data images --extra augment/images --model mlp --epochs 1 --out again",
        "again",
    ),
    "export": ("export/[mc]o*", "eval export --data images --features pixels -n 20 --out again", "again"),
}
"""By kind of file: which, the command that reads them, and what that writes."""
