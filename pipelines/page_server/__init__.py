"""The server of a page and its products: for reading, on this machine unless told otherwise."""
