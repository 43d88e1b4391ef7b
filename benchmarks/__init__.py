"""Measurements that stand behind the project's statements: `python -m benchmarks NAME`.

One module is one benchmark. It has a docstring, whose first line says what is measured, and

    def run(quick: bool, data: Path | None) -> Result

`quick` asks for the small form that fits into a test run; `data` is the folder of the benchmark tables, or None
where it is absent (then a benchmark that needs it raises `MissingDataError`).

A bar that was not measured has the value None, and does not hold. Peers run in `environments`. Figures of full runs are
kept in `results/`.
"""
