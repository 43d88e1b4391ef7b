"""Trainings that another system carries out: a signed request goes out, the job waits, what is brought is checked."""
