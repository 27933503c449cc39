"""One command of `advgan` as a library call: a resolved configuration in, a run folder with its results out."""
