"""The edges towards other systems: where a released model is published."""
