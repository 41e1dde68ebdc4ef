"""slimdeploy: puts the telegram-slim gateway on tiny boards and measures it so that the figure can be believed."""

__version__ = "0.1.0"
