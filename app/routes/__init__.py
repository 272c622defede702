"""HTTP alone: parse, call, respond."""
