"""What outcomes are worth: the value function of a model, and the ledger of what it earned and cost."""
