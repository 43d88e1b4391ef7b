"""Takes in predictions and labels: acknowledged when durable, stored exactly once, joined whenever labels come."""
