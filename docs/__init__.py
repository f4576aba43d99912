"""Reference pages and what makes them: `python -m docs.generate`."""
