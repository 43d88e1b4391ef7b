"""Pictures and documents: inline SVG, HTML pages and terminal tables, made by pure functions from finished values."""
