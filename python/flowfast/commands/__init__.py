"""What each command does, once its flags are understood: one file a command, each with a `run` that returns the exit code."""
