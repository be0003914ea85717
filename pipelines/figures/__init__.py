"""The pictures people expect of each product, drawn from finished arrays."""
