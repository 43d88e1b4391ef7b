"""Mergeable counts over reference bins: the only code that looks at rows (DESIGN: monitors never touch rows)."""
