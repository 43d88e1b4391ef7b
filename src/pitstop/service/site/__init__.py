"""The pages that a person looks at: rendered on the server from summaries of each model's home."""
