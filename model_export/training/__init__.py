"""Training: losses, schedules, runs that can be resumed."""
