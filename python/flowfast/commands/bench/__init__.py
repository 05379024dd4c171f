"""`flowfast bench`: what this machine can do, measured by its user. One module a command."""
