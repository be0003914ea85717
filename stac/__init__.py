"""What data exist: catalogues, items, readers. Knows nothing of machines."""
