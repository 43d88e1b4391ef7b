"""Long work as durable jobs: whatever is killed, and when, a job goes on where it was, and does nothing twice."""
