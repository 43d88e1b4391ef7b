"""The documents of an evidence pack: what is said, with the journal entry behind each statement."""
