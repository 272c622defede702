"""A SavedModel as a network of the CPU engine's, made when a version is published."""
