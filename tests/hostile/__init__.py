"""Files made to harm: by rule, from a seed."""
