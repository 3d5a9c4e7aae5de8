"""`make bench`: the figures, medians of one run on one named machine. Not tests: nothing here passes or fails."""
