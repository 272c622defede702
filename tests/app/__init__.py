"""Tests of the service: over HTTP against a real server wherever a user could notice."""
