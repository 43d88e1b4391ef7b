"""From a model's home to what its pages show: pure functions, run after each tick, never while a page is served."""
