"""The edge towards the network: what Pitstop serves. For now, a report on the loopback address."""
