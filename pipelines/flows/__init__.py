"""One file per product: open lazily, compute, stream out."""
