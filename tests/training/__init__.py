"""Tests of training: from photos to a published model."""
