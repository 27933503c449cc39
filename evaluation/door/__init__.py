"""What `import advgan` offers to scripts and notebooks beside the verbs of the command line."""
