"""The service on many machines, by Ray Serve."""
