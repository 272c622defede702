"""The Open Inference Protocol, version 2, over HTTP: messages and tensors; no HTTP in here."""
