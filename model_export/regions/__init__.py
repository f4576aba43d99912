"""Two-stage detection: regions that may hold an object are proposed, cut from the features and named."""
