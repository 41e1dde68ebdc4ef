"""The nouns of the product: frozen values without I/O. Reading, running and printing are everybody else's."""
