"""The Python API of `import advgan` for scripts and notebooks: attack, load_run, compare."""
