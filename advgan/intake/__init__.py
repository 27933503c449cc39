"""What is let in: which files of others are read at all, how much of them, and their plain text as values."""
