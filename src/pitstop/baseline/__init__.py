"""What healthy means for a release: reference counts, calibrator, leaf tree."""
