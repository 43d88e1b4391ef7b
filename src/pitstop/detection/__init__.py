"""When a change is an alarm: e-detectors on window counts, under one budget of false alarms.

`budget` shares the promise, `streams` holds what goes in and comes out, `detector` is the engine for rates and
`volume` for row counts. The theory, with its proof and what breaks it, is in docs/explanation/alarm-budget.md.
"""
