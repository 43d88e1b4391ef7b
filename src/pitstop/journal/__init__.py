"""The tamper-evident journal: entries, their Merkle tree, signed checkpoints, and an offline check."""
