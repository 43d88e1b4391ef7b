"""Records: what the columns of a model's table mean, and rows that are checked and ready to be counted."""
