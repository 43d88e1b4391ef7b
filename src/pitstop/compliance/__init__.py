"""Policy packs: what is asked of a model's upkeep, and the evidence for it in what was kept."""
