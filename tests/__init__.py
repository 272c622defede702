"""Tests at the boundary: what a user of the service, the store or the trainer would notice."""
