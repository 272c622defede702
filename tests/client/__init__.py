"""The client, against real services, some behind a faulty way there."""
