"""What the command line completes, checks and says around a verb's work; nothing here loads torch on its own."""
