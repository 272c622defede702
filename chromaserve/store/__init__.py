"""What training and serving agree on: the model contract, colour conversion, versions on disk."""
