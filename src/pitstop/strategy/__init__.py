"""When to retrain: loss matrices, policies, and the schedule that hindsight would have chosen."""
