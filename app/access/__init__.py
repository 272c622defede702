"""Who may ask, and from where: API keys, hosts, origins. Off unless the settings say otherwise."""
