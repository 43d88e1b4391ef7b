"""Replays: what Pitstop would have done with a model, on its own past."""
