"""Backtests: what each retraining policy would have cost on a model's own history."""
