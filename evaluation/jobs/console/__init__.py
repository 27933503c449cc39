"""The command line around a verb's job: options, completion, gates and printed tables; none of it imports torch."""
