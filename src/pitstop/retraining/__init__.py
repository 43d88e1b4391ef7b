"""Retraining: recipes, trainers in a sandbox, and the comparison that proves a challenger better."""
