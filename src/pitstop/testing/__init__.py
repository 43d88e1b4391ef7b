"""Conformance laws for extensions: run them over your own statistic, monitor, policy, trainer or engine.

Each module holds the laws of one kind, as functions that raise `AssertionError` saying what should have held. The
same laws run over everything built in.
"""
