"""Messages to people and programs: one for each change of an incident, a digest for the rest, all of them recorded."""
