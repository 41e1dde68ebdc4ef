"""The Bot API stand-in: what Telegram does for a bot and its users, on this machine, over real TLS."""
