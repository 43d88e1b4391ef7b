"""The loop: windows in; profiles, alarms, incidents, decisions, challengers and releases out."""
