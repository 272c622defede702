"""Video: frames through the pipe, colours over time."""
