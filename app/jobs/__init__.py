"""Jobs: photos that are taken now, colorized when there is room, and fetched later."""
