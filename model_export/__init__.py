"""Builds, verifies and packs SavedModel bundles for TensorFlow Serving; imports no other package of this project."""
