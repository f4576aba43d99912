"""Evaluation of a training run: results, and a page with pictures that people can read."""
